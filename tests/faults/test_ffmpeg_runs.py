"""The same faults of ffmpeg in a real run: a clear message, nothing half-made, and the same command goes on."""

import pytest

from tapemill.media import packets
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.fakes.ffmpeg import program
from tests.support.media.frame_codes import make_capture
from tests.support.project import Project

pytestmark = pytest.mark.long
FRAMES = 60
ENHANCE = {"preset": "none", "encoder_effort": "fast"}
# Cue, the word in the arguments of the run it strikes, what the operator reads.
FAULTS = [
    ("missing", "", "could not be started"),
    ("not executable", "", "could not be started"),
    ("killed", "ffv1", "ended by SIGTERM"),
    ("garbage", "rawvideo", "that are none"),
    ("garbage", "ffv1", "what was written cannot be used|frames were decoded"),
    ("nothing", "libx264", "nothing was written"),
    ("half", "libx264", "frames, not 60"),
    ("blank", "libx264", "does not show what its scene shows"),
    ("half", "flac", "samples"),
]


@pytest.mark.parametrize(("kind", "only", "words"), FAULTS)
def test_a_run_fails_clearly_and_goes_on_once_ffmpeg_is_well(tmp_path, kind, only, words):
    project = Project(tmp_path / "project")
    make_capture(project.path("a.mkv"), frames=FRAMES, size=(160, 128))
    project.sheet({"tape": "T", "source": "a.mkv", "language": "en"})
    bad = program(tmp_path / "ffmpeg", ffmpeg.binary(), kind, only)
    project.configure(ffmpeg=str(bad), enhance=ENHANCE)
    failed = project.run("all")
    assert failed.exit_code != 0
    assert any(word in failed.output for word in words.split("|")), failed.output
    # In the logs of the jobs: the logger of the terminal may trip over one that Snakemake removes for the next attempt.
    assert not [log for log in project.path("logs").rglob("*.log") if "Traceback" in log.read_text()]
    assert not project.path("results/T/T.mkv").exists()
    assert not project.half_made()

    project.configure(enhance=ENHANCE)
    made = project.make("all")
    # The probe asks ffmpeg for the crop of the container. Another ffmpeg is no reason to probe again.
    assert made.jobs["probe_capture"] == (0 if only else 1)
    assert packets.frame_count(project.path("results/T/T.mkv")) == FRAMES

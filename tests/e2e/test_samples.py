"""Real media with the oddities of real media, all in one run. None of it is part of the project."""

import json
import shutil
from fractions import Fraction

import av
import pytest

from tapemill.media import packets, probe
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.media.frame_codes import make_capture
from tests.support.project import SAMPLES, Project

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not there")
# Tape id: file, frames of the capture, width and height of the tape, sound tracks.
TAPES = {
    "several-tracks": ("nasa_13013.mp4", 390, (480, 270), 2),
    "ten-bit": ("h264_10bits.mp4", 30, (200, 200), 0),
    "ten-bit-hevc": ("h265_10bits.mp4", 30, (200, 200), 0),
    "av1": ("av1_video.mkv", 125, (640, 360), 0),
    "full-range": ("bt709_full_range.mp4", 30, (1280, 720), 0),
    "broken-sound": ("video_with_failing_audio.mp4", 280, (640, 360), 1),
    "no-duration": ("no_duration.webm", 74, (1280, 720), 1),
    "transparent": ("transparent.webm", 150, (200, 200), 1),
    "one-pixel": ("-video-with-dash-.mp4", 5, (64, 64), 0),
    "grain": ("chaplin.mp4", 241, (640, 360), 1),
    "wide-pixels": ("carphone_pristine.mp4", 120, (192, 144), 0),
    "turned": ("turned.mp4", 30, (288, 360), 0),
    "sixteen-eleven": ("sixteen-eleven.mkv", 30, (1048, 576), 1),
    "rain": ("rain.mkv", 250, (384, 288), 1),
}


def make_odd_captures(project):
    make_capture(project.path("plain.mp4"), frames=30, size=(360, 288), sound_start_s=None)
    ffmpeg.run(
        [
            *ffmpeg.input_args(project.path("plain.mp4"), options=["-display_rotation:v:0", "90"]),
            *("-c", "copy", *ffmpeg.output_args(project.path("turned.mp4"), "mp4")),
        ],
        concerns=project.folder,
        timeout_s=60,
    )
    make_capture(
        project.path("sixteen-eleven.mkv"),
        frames=30,
        sample_aspect_ratio=Fraction(16, 11),
        sound_start_s=Fraction(1, 3),
    )
    make_capture(project.path("silent.mkv"), frames=250, size=(360, 288), sound_start_s=None)
    ffmpeg.run(
        [
            *ffmpeg.input_args(project.path("silent.mkv")),
            *ffmpeg.input_args(SAMPLES / "rain.mp3", options=["-t", "10"]),
            *("-c:v", "copy", "-c:a", "flac", *ffmpeg.output_args(project.path("rain.mkv"), "matroska")),
        ],
        concerns=project.folder,
        timeout_s=60,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("samples") / "project")
    make_odd_captures(project)
    for name in {row[0] for row in TAPES.values()}:
        if not project.path(name).exists():
            shutil.copy(SAMPLES / name, project.path(name))
    project.configure(enhance={"preset": "none", "encoder_effort": "fast"})
    project.sheet(*({"tape": tape, "source": row[0], "language": "en"} for tape, row in TAPES.items()))
    project.make("all")
    return project


@pytest.mark.parametrize("tape", TAPES)
def test_each_sample_becomes_a_whole_tape(project, tape):
    _, frames, size, tracks = TAPES[tape]
    path = project.path(f"results/{tape}/{tape}.mkv")
    assert packets.frame_count(path) == frames
    found = probe.probe(path)
    assert (found.picture.width, found.picture.height) == size
    assert found.picture.sample_aspect_ratio in (None, 1)
    assert found.picture.colour.range == "tv"
    assert len(found.sounds) == tracks
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == frames


def test_broken_sound_is_kept_as_far_as_it_goes(project):
    record = json.loads(project.path("results/broken-sound/sound.json").read_text())
    assert record["tracks"][0]["samples"] > 10 * 44_100


def test_rain_has_nothing_to_transcribe(project):
    assert project.path("results/rain/rain.srt").read_text() == ""


def test_late_sound_is_in_its_place(project):
    record = json.loads(project.path("results/sixteen-eleven/sound.json").read_text())
    # Matroska rounded the third of a second to whole milliseconds.
    assert record["tracks"][0]["padded"] == 333 * 48


@pytest.mark.parametrize("name", ["rain.mp3", "jfk.flac", "subtitles.srt"])
def test_what_has_no_picture_is_refused(tmp_path, name):
    project = Project(tmp_path / "project")
    shutil.copy(SAMPLES / name, project.path(name))
    project.sheet({"tape": "T", "source": name})
    run = project.run("all")
    assert run.exit_code != 0
    assert name in run.output
    assert not list(project.path("results").rglob("*.json"))

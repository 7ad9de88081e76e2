"""One tape through the whole workflow: frames, beeps, report, provenance; and a second run with nothing to do."""

from fractions import Fraction

import pytest

from tapemill.media.capture_info import Capture
from tests.support.media.frame_codes import beep_times, make_capture, read_numbers
from tests.support.project import Project
from tests.support.shared_fixture import made_once

CUTS = (60, 130)
FRAMES = 200
BEEP_TOLERANCE_S = 0.005


@pytest.fixture(scope="session")
def tape(tmp_path_factory, worker_id):
    """The project in which `all` has made the tape of an interlaced capture, the capture's truth, and the run."""
    folder, truth, run = made_once(tmp_path_factory, worker_id, "golden_tape", make_tape)
    return Project.existing(folder), truth, run


def make_tape(folder):
    project = Project(folder / "project")
    project.configure(enhance={"encoder_effort": "fast"}, scenes={"longest_s": 3}, report={"pages": True})
    truth = make_capture(project.path("capture.mkv"), frames=FRAMES, size=(720, 576), interlaced="tff", cuts=CUTS)
    project.sheet({"tape": "T", "source": "capture.mkv", "language": "en", "field_order": "tff"})
    return project.folder, truth, project.make("all")


def test_every_frame_and_every_beep_is_in_its_place(tape):
    project, truth, _ = tape
    capture = Capture.read(project.path("results/T/capture.json"))
    assert capture.picture.field_order == "tff"
    readings = read_numbers(project.path("results/T/T.mkv"))
    assert [reading.number for reading in readings] == truth.numbers(truth.shown(capture.frames))
    rate = capture.picture.rate * 2
    assert max(abs(reading.time_s - k / rate) for k, reading in enumerate(readings)) <= Fraction(1, 2000)
    beeps = beep_times(project.path("results/T/T.mkv"))
    assert len(beeps) == len(truth.beeps_s)
    assert max(abs(a - float(b)) for a, b in zip(beeps, truth.beeps_s, strict=True)) <= BEEP_TOLERANCE_S


def test_each_job_ran_once_for_its_tape_or_scene(tape):
    _, _, run = tape
    scenes = len(CUTS) + 1
    for rule in ("cut_scene", "extract_audio", "transcribe_scene", "enhance_scene"):
        assert run.jobs[rule] >= scenes, rule
        assert run.jobs[rule] == run.jobs["cut_scene"]
    for rule in ("probe_capture", "detect_scenes", "clean_sound", "join_subtitles", "mux_tape", "write_provenance"):
        assert run.jobs[rule] == 1, rule


def test_all_that_belongs_to_a_tape_is_there_and_nothing_half_written(tape):
    project, _, _ = tape
    for name in ("T.mkv", "T.srt", "T.vtt", "scenes.tsv", "provenance.json", "report/before_after.html"):
        assert project.path(f"results/T/{name}").exists(), name
    assert not project.half_made()


def test_a_second_run_has_nothing_to_do(tape):
    project, _, _ = tape
    assert not project.make("all").jobs

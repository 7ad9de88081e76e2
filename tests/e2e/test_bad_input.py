"""Hostile or unusable input: one clear error, and nothing half-made is left."""

import shutil

import pytest

from tapemill.media.ffmpeg import runner as ffmpeg
from tapemill.process.results_lease import LEASE
from tests.support.media.frame_codes import make_capture
from tests.support.project import Project


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def fails(project, *words):
    run = project.run("all")
    assert run.exit_code != 0
    for word in words:
        assert word in run.output, run.output
    assert "Traceback" not in run.output, run.output
    made = (
        [path for path in project.path("results").rglob("*") if path.is_file() and path.name != LEASE]
        if project.path("results").exists()
        else []
    )
    assert not made
    return run


def test_a_missing_source_is_found_before_anything_runs(project):
    project.sheet({"tape": "T", "source": "nowhere.avi"})
    fails(project, "row 2", "nowhere.avi", "does not exist")


@pytest.mark.parametrize("content", [b"", b"this is a letter, not a film\n" * 50])
def test_a_file_that_is_not_media(project, content):
    project.path("letter.avi").write_bytes(content)
    project.sheet({"tape": "T", "source": "letter.avi"})
    run = fails(project, "1 job failed", "letter.avi", "cannot be read as media")
    # It does not pass by itself, so one attempt is enough.
    assert "Trying to restart" not in run.output


def test_a_playlist_under_the_name_of_a_film_is_not_followed(project):
    make_capture(project.path("other.mkv"), frames=30, size=(64, 64))
    project.path("film.mkv").write_text("ffconcat version 1.0\nfile other.mkv\n")
    project.sheet({"tape": "T", "source": "film.mkv"})
    fails(project, "film.mkv", "of no kind that captures come in")


def test_a_capture_that_is_cut_off_is_refused_before_hours_are_spent(project):
    make_capture(project.path("whole.mkv"), frames=100, size=(64, 64))
    data = project.path("whole.mkv").read_bytes()
    project.path("a.mkv").write_bytes(data[: len(data) // 2])
    project.sheet({"tape": "T", "source": "a.mkv"})
    fails(project, "a.mkv", "cut off", "s of 4.0 s can be read", "allow_truncated")


def test_a_recording_without_picture(project):
    path = project.path("sound.wav")
    ffmpeg.run(["-f", "lavfi", "-i", "sine=d=1", *ffmpeg.output_args(path, "wav")], concerns=path, timeout_s=30)
    project.sheet({"tape": "T", "source": "sound.wav"})
    fails(project, "sound.wav", "no video")


@pytest.mark.parametrize(
    ("section", "values", "word"),
    [
        ("enhance", {"presett": "fast"}, "did you mean 'preset'"),
        ("subtitles", {"model": "medum"}, "medum"),
        ("subtitles", {"model": "bsrgan-x2"}, "of the kind frame"),
    ],
)
def test_a_wrong_setting_is_found_before_anything_runs(project, section, values, word):
    make_capture(project.path("a.mkv"), frames=10, size=(64, 64))
    project.sheet({"tape": "T", "source": "a.mkv"})
    project.configure(**{section: values})
    fails(project, word)


def test_a_model_that_is_not_the_pinned_one_is_refused(project):
    make_capture(project.path("a.mkv"), frames=30, size=(360, 288))
    project.sheet({"tape": "T", "source": "a.mkv", "language": "en"})
    model = project.path("resources/models/demo-en.pt")
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    run = project.run("results/T/T.srt")
    # A scene without speech needs no model; the beeps may pass for either.
    assert run.exit_code == 0 or "SHA-256" in run.output


@pytest.mark.parametrize(
    "name",
    [
        'it\'s a "tape" {x} 100% [1]*?.mkv',
        *(pytest.param(name, marks=pytest.mark.long) for name in ("-dash.mkv", "two  blanks .mkv")),
        "b\udce4d.mkv",
    ],
)
def test_hostile_names_come_through(project, name):
    make_capture(project.path("a.mkv"), frames=40, size=(360, 288), cuts=(20,))
    shutil.move(project.path("a.mkv"), project.path(name))
    project.sheet({"tape": "T", "source": name, "language": "en", "title": "a=b;c#d\\e 'f' \"g\" {h}"})
    project.make("all")
    assert project.path("results/T/T.mkv").exists()


def test_a_tape_without_sound(project):
    make_capture(project.path("a.mkv"), frames=40, size=(360, 288), sound_start_s=None)
    project.sheet({"tape": "T", "source": "a.mkv"})
    project.make("all")
    assert project.path("results/T/T.srt").read_text() == ""


def test_a_second_run_in_the_same_folder_is_refused(project):
    import fcntl

    make_capture(project.path("a.mkv"), frames=10, size=(64, 64), sound_start_s=None)
    project.sheet({"tape": "T", "source": "a.mkv"})
    (project.folder / ".snakemake").mkdir()
    with (project.folder / ".snakemake" / "tapemill.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fails(project, "another run is active")

"""What makes a job run again, and what never may: DESIGN, "What makes a job run again"."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.support.media import speech
from tests.support.media.frame_codes import make_capture
from tests.support.project import DEMO_MODEL, ROOT, Project, vouch_for_captures

SCENES = 4


def test_everything_is_made_once(finished):
    for name in ("T01.mkv", "T01.srt", "T01.vtt", "capture.json", "scenes.tsv", "scenes.edl", "sound.mka"):
        assert finished.path(f"results/T01/{name}").exists(), name
    assert len(list(finished.path("results/T01/enhanced").glob("*.mkv"))) == SCENES
    assert not list(finished.path("results/T01/scenes").glob("*"))
    assert not list(finished.path("results").rglob("*partial*"))


def test_a_second_run_has_nothing_to_do_and_nothing_to_look_at(copy):
    assert not copy.make("all").jobs
    run = copy.make("all")
    assert not run.jobs
    assert "finished and unchanged: 1 of 1" in run.output
    assert "Nothing to be done" in run.output


@contextmanager
def all_touched(folder):
    """Everything under version control has a new file time, as after a checkout of another branch and back.

    Afterwards the old ones: `make` would install everything anew.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True).stdout
    names = [name for name in os.fsdecode(listed).split("\0") if name]
    assert {"Snakefile", "rules/common.smk", "scripts/enhance_scene.py", "envs/cpu.yaml"} <= set(names)
    before = {folder / name: (folder / name).stat() for name in names}
    try:
        for path in before:
            path.touch()
        yield
    finally:
        for path, was in before.items():
            os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def test_touching_the_capture_the_model_or_anything_of_the_repository_redoes_nothing(copy):
    copy.path("captures/T01.mkv").touch()
    copy.path(DEMO_MODEL).touch()
    for path in copy.path("config").iterdir():
        path.touch()
    with all_touched(ROOT):
        # The content of the capture is read once more, and nothing is made.
        assert dict(copy.make("all").jobs) == {"check_capture": 1}


def test_another_branch_and_back_redoes_nothing(copy, tmp_path):
    """The tape lies in a repository of its own, as it does for whoever works in a clone."""

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=clone, check=True)

    clone = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        # What is deleted in the checkout but not committed yet is still listed.
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name, follow_symlinks=False)
    shutil.copytree(copy.folder, clone, dirs_exist_ok=True, symlinks=True)
    vouch_for_captures(clone)
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "A tape of mine")
    git("checkout", "--quiet", "-b", "other")
    for path in [*clone.glob("rules/*.smk"), *clone.glob("scripts/**/*.py"), clone / "config" / "config.yaml"]:
        path.unlink()
    git("commit", "--quiet", "--all", "--message", "All is different here")
    git("checkout", "--quiet", "-")
    assert (clone / "rules/common.smk").stat().st_mtime > copy.path("results/T01/T01.mkv").stat().st_mtime
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "profiles/cpu", "all"],
        cwd=clone,
        env=os.environ | {"PYTHONPATH": str(clone / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.long
def test_another_capture_of_the_same_length_redoes_everything(copy):
    make_capture(
        copy.path("captures/T01.mkv"), frames=275, interlaced="tff", size=(360, 288), cuts=(50, 100, 150), gop=25
    )
    jobs = copy.make("all").jobs
    assert jobs["enhance_scene"] == jobs["extract_audio"] == jobs["cut_scene"] == SCENES
    assert jobs["probe_capture"] == jobs["detect_scenes"] == jobs["clean_sound"] == jobs["mux_tape"] == 1


def test_a_subtitle_corrected_by_hand_is_joined_and_never_overwritten(copy):
    srt = copy.path("results/T01/subtitles/0000050.srt")
    text = "1\n00:00:00,200 --> 00:00:01,500\nWhat she really said\n\n"
    srt.write_text(text)
    assert dict(copy.make("all").jobs) == {"join_subtitles": 1, "mux_tape": 1, "write_provenance": 1}
    assert "What she really said" in copy.path("results/T01/T01.srt").read_text()
    copy.configure(subtitles={"no_speech_threshold": 0.5})
    copy.make("all")
    assert srt.read_text() == text
    assert "What she really said" in copy.path("results/T01/T01.srt").read_text()
    assert not copy.make("all").jobs


def test_a_deleted_clip_is_made_again_alone(copy):
    clip = copy.path("results/T01/enhanced/0000100.mkv")
    before = clip.read_bytes()
    clip.unlink()
    copy.path("results/T01/T01.mkv").unlink()
    assert dict(copy.make("all").jobs) == {"cut_scene": 1, "enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    assert clip.read_bytes() == before


def test_a_probe_setting_makes_no_clip_if_it_finds_the_same(copy):
    copy.configure(capture={"field_order_spots": 3})
    once = {"probe_capture", "detect_scenes", "clean_sound"}
    # Whether they are put together anew depends on which job ends last: the same content is no reason after all.
    together = {"join_subtitles", "mux_tape", "hash_capture", "write_provenance"}
    assert once <= set(copy.make("all").jobs) <= once | together
    assert not copy.make("all").jobs


@pytest.mark.long
def test_the_sheets_aspect_and_field_order_make_the_clips_again_and_no_transcript(copy):
    row = {"tape": "T01", "source": "captures/T01.mkv", "language": "en", "title": "Counting"}
    copy.sheet(row | {"field_order": "tff", "aspect": "16:9"})
    jobs = copy.make("all").jobs
    assert jobs["probe_capture"] == jobs["mux_tape"] == 1
    assert jobs["enhance_scene"] == SCENES
    assert not {"extract_audio", "transcribe_scene"} & set(jobs)
    # What is stated is what is found: the words say the same as before.
    copy.sheet(row | {"field_order": "progressive", "aspect": "16:9"})
    jobs = copy.make("all").jobs
    assert jobs["enhance_scene"] == SCENES
    assert not {"extract_audio", "transcribe_scene"} & set(jobs)


def test_a_filter_setting_transcribes_nothing_again(copy):
    copy.configure(enhance={"sharpen": 0.9})
    assert dict(copy.make("all").jobs) == {
        "cut_scene": SCENES,
        "enhance_scene": SCENES,
        "mux_tape": 1,
        "write_provenance": 1,
    }


def test_a_cue_setting_recognises_and_enhances_nothing_again(copy):
    record = copy.path("results/T01/subtitles/0000000.json")
    made_from = json.loads(record.read_text())["made_from"]
    copy.configure(subtitles={"line_characters": 30})
    assert dict(copy.make("all").jobs) == {
        "transcribe_scene": SCENES,
        "join_subtitles": 1,
        "mux_tape": 1,
        "write_provenance": 1,
    }
    assert json.loads(record.read_text())["made_from"] == made_from


def test_a_detection_setting_redoes_only_scenes_whose_span_changed(copy):
    kept = copy.path("results/T01/enhanced/0000050.mkv").stat().st_mtime_ns
    copy.configure(scenes={"longest_s": 4})
    jobs = copy.make("all").jobs
    # The last scene, 5 s, is split; the three before it stay as they are.
    assert jobs["cut_scene"] == jobs["enhance_scene"] == jobs["transcribe_scene"] == jobs["extract_audio"] == 2
    assert copy.path("results/T01/enhanced/0000050.mkv").stat().st_mtime_ns == kept
    assert not copy.make("all").jobs


def test_sound_and_title_settings_leave_picture_and_words_alone(copy):
    copy.configure(audio={"hum_hz": 50})
    assert dict(copy.make("all").jobs) == {"clean_sound": 1, "mux_tape": 1, "write_provenance": 1}
    copy.configure(audio={"hum_hz": 50}, tape={"chapter_shortest_s": 3})
    assert dict(copy.make("all").jobs) == {"mux_tape": 1, "write_provenance": 1}


def test_moving_the_folder_redoes_nothing(copy, tmp_path):
    copy.folder = copy.folder.rename(tmp_path / "elsewhere")
    assert not copy.make("all").jobs


def test_one_target_is_made_and_no_more(copy):
    for path in copy.path("results/T01").glob("T01.*"):
        path.unlink()
    assert dict(copy.make("results/T01/T01.srt").jobs) == {"join_subtitles": 1}


def test_the_words_of_one_scene_can_be_asked_for(copy):
    copy.path("results/T01/subtitles/0000050.srt").unlink()
    run = copy.run("results/T01/subtitles/0000050.srt", "-n")
    assert run.exit_code == 0, run.output
    assert re.search(r"transcribe scene +1\b", run.output), run.output


def test_transcripts_are_made_anew_in_the_language_that_was_voted_on(tmp_path):
    project = Project(tmp_path / "project")
    speech.make_scene(project.path("a.mkv"), speech.recording())
    project.sheet({"tape": "T", "source": "a.mkv", "field_order": "progressive"})
    project.make("results/T/T.srt")
    first = project.path("results/T/T.srt").read_bytes()
    for name in ("subtitles/0000000.srt", "subtitles/0000000.json", "T.srt", "T.vtt"):
        project.path(f"results/T/{name}").unlink()
    assert dict(project.make("results/T/T.srt").jobs) == {"transcribe_scene": 1, "join_subtitles": 1}
    assert project.path("results/T/T.srt").read_bytes() == first
    assert json.loads(project.path("results/T/subtitles/0000000.json").read_text())["made_from"]["language"] == "en"
    assert not project.make("results/T/T.srt").jobs

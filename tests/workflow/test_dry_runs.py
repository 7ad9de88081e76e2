"""Dry runs: what would be done for which settings, with which profile, on a machine without any card."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from tapemill.storage.atomic import write_json
from tapemill.workflow.tape_recipe import write_recipe
from tests.support.capture_info import capture_of
from tests.support.media.frame_codes import make_capture
from tests.support.project import ROOT, Project

COUNT = re.compile(r"^ ([a-z_ ]+?)  +(\d+) $", re.MULTILINE)


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project")
    project.path("a.mkv").write_bytes(b"never opened by a plan")
    project.sheet({"tape": "T", "source": "a.mkv", "language": "en"})
    return project


def plan(project, *arguments, profile="cpu"):
    run = project.run("all", "-n", *arguments, profile=profile)
    assert run.exit_code == 0, run.output
    return Counter({rule.replace(" ", "_"): int(count) for rule, count in COUNT.findall(run.output) if rule != "total"})


@pytest.mark.parametrize("profile", ["cpu", "arc2", "cuda", "rocm"])
def test_a_new_tape(project, profile):
    jobs = plan(project, profile=profile)
    of_tape = {"probe_capture", "hash_capture", "clean_sound", "detect_scenes", "join_subtitles", "mux_tape"}
    assert set(jobs) == {*of_tape, "write_provenance", "all"}
    assert not project.path("results").exists()


def test_a_tape_that_was_looked_into_and_not_divided_yet(project):
    make_capture(project.path("a.mkv"), frames=10, size=(128, 96))
    write_json(project.path("results/T/capture.json"), capture_of(project.path("a.mkv")).to_plain())
    write_recipe(project.path("results/T"))
    of_tape = {"hash_capture", "clean_sound", "detect_scenes", "join_subtitles", "mux_tape"}
    assert set(plan(project)) == {*of_tape, "write_provenance", "all"}


def test_a_tape_whose_language_is_voted_on(project):
    project.sheet({"tape": "T", "source": "a.mkv"})
    assert plan(project)["detect_language"] == 1


def test_translation_is_a_second_track_unless_english_is_spoken(project):
    project.configure(subtitles={"translate": True})
    assert not plan(project)["join_translations"]
    project.sheet({"tape": "T", "source": "a.mkv", "language": "de"})
    assert plan(project)["join_translations"] == 1


def test_ready_scenes_are_planned_whole(project):
    folder = project.path("scenes")
    folder.mkdir()
    for name in ("1.mkv", "2.mkv", "3.mkv"):
        (folder / name).touch()
    project.sheet({"tape": "T", "source": "scenes", "language": "en"})
    jobs = plan(project)
    assert jobs["cut_scene"] == jobs["enhance_scene"] == jobs["transcribe_scene"] == jobs["extract_audio"] == 3
    assert not jobs["detect_scenes"]


def test_a_missing_model_is_found_by_the_plan(project):
    project.configure(subtitles={"model": "tiny"})
    run = project.run("all", "-n")
    assert run.exit_code != 0
    assert "snakemake fetch_models" in run.output


def test_mp4_is_made_instead_of_mkv(project):
    project.configure(tape={"container": "mp4"})
    assert plan(project)["mux_tape"] == 1
    assert project.run("results/T/T.mp4", "-n").exit_code == 0
    assert project.run("results/T/T.mkv", "-n").exit_code != 0


def test_an_unknown_tape_is_no_target(project):
    run = project.run("results/T2/T2.mkv", "-n")
    assert run.exit_code != 0
    assert "T2" in run.output


def test_the_commands_of_the_readme_are_accepted_in_the_repository():
    for arguments in (["--profile", "arc2", "all", "-n"], ["--profile", "profiles/cpu", "results/demo/demo.mkv", "-n"]):
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_an_old_name_of_a_key_is_noted_once(project):
    project.configure(disk={"cut_ahead": 3})
    run = project.run("all", "-n", profile="cpu")
    assert run.exit_code == 0, run.output
    assert run.output.count("`disk: cut_ahead` is called `disk: cut_backlog` now") == 1

"""The rule `plan` against `all -n`, with which it has to agree, and against what is there before and after it."""

import json
import os
import re
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections import Counter

import pytest

from tapemill.events import log as events
from tapemill.events.run_outcome import RunOutcome
from tapemill.events.run_state import load_run
from tests.support.media.frame_codes import make_capture
from tests.support.polling import wait_for
from tests.support.project import ROOT, Project, digest, this_checkout

COUNT = re.compile(r"^ ([a-z_ ]+?)  +(\d+) $", re.MULTILINE)
JSON = {"plan": {"json": "plan.json"}}
SCENES = 4
ONE_CLIP = {"cut_scene": 1, "enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}


def to_do(project, **how):
    """What Snakemake would run."""
    run = project.run("all", "-n", **how)
    assert run.exit_code == 0, run.output
    jobs = {rule.replace(" ", "_"): int(count) for rule, count in COUNT.findall(run.output)}
    return Counter({rule: count for rule, count in jobs.items() if rule not in ("all", "total")})


def plan(project, *arguments, **how):
    """What the rule says, and what it prints. Nothing may be made or changed by it."""
    before = state(project)
    run = project.run("show_plan", *arguments, **how)
    assert run.exit_code == 0, run.output
    assert state(project) == before
    return json.loads(project.path("plan.json").read_text()), run.output


def state(project):
    files = [path for name in ("results", ".snakemake/metadata") for path in project.path(name).rglob("*")]
    return {path: path.stat().st_mtime_ns for path in files if path.is_file()}


def to_come(found):
    return {stage["stage"]: stage["to_come"] for tape in found["tapes"] for stage in tape["stages"]}


def test_a_finished_tape_has_nothing_to_do_whatever_it_may_cost(copy):
    copy.configure(budget={"hours": 0, "gb": 0}, **JSON)
    found, output = plan(copy)
    assert "Nothing to do." in output
    assert found["jobs"] == {}
    done = {stage["stage"]: stage["done"] for stage in found["tapes"][0]["stages"]}
    assert done == {"capture": 2, "scenes": 1 + SCENES, "audio": 1 + SCENES, "subtitles": 1 + SCENES,
                    "enhance": SCENES, "tape": 2}  # fmt: skip
    assert not copy.make("all").jobs


def test_a_changed_setting_and_a_deleted_transcript_are_planned_as_snakemake_does(copy):
    copy.configure(enhance={"sharpen": 0.9}, **JSON)
    for name in ("subtitles/0000050.srt", "T01.srt"):
        copy.path(f"results/T01/{name}").unlink()
    found, output = plan(copy)
    assert Counter(found["jobs"]) == to_do(copy)
    assert found["jobs"]["enhance_scene"] == SCENES
    assert found["jobs"]["transcribe_scene"] == 1
    assert not any(to_come(found).values())
    assert "measured here" in output
    assert found["measured_jobs"] > 2 * SCENES


@pytest.mark.long
def test_the_plan_beside_a_run_that_is_at_work_disturbs_nothing(copy, finished):
    names = ["T01.mkv", *(f"enhanced/{scene:07d}.mkv" for scene in (0, 50, 100, 150))]
    for name in names:
        copy.path(f"results/T01/{name}").unlink()
    before = events.list_runs(copy.path("events"))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "all"]
    environment = os.environ | {"PYTHONPATH": this_checkout()}
    with subprocess.Popen(
        [*command, "--profile", str(ROOT / "profiles" / "cpu"), "--directory", str(copy.folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=environment,
    ) as main:
        wait_for(lambda: copy.path("results/.partial").exists(), seconds=120)
        # Which of its jobs are done by then is a matter of luck.
        run = copy.run("show_plan")
        assert run.exit_code == 0, run.output
        assert main.wait() == 0
    (name,) = set(events.list_runs(copy.path("events"))) - set(before)
    found = load_run(name, copy.path("events"))
    assert found.ended.facts["is_ok"] is True
    assert found.outcome() == RunOutcome()
    for name in names:
        assert digest(copy.path(f"results/T01/{name}")) == digest(finished.path(f"results/T01/{name}"))


@pytest.mark.long
def test_a_deleted_clip_is_planned_as_snakemake_does(copy):
    copy.configure(**JSON)
    for name in ("enhanced/0000050.mkv", "T01.mkv"):
        copy.path(f"results/T01/{name}").unlink()
    found, _ = plan(copy)
    assert Counter(found["jobs"]) == to_do(copy) == ONE_CLIP


@pytest.mark.long
def test_a_job_that_was_killed_is_planned_again(copy):
    copy.configure(**JSON)
    marker = urlsafe_b64encode(b"results/T01/sound.mka").decode()
    incomplete = copy.path(".snakemake/incomplete")
    incomplete.mkdir(exist_ok=True)
    (incomplete / marker).touch()
    found, _ = plan(copy)
    assert Counter(found["jobs"]) == to_do(copy) == {"clean_sound": 1, "mux_tape": 1, "write_provenance": 1}


@pytest.mark.long
def test_scenes_that_may_move_are_not_counted_before_they_did(copy):
    copy.configure(scenes={"longest_s": 4}, **JSON)
    found, _ = plan(copy)
    assert Counter(found["jobs"]) == to_do(copy)
    assert not any(to_come(found).values())
    copy.path("results/T01/enhanced/0000050.mkv").unlink()
    found, output = plan(copy)
    assert Counter(found["jobs"]) == to_do(copy)
    assert to_come(found)["enhance"] == to_come(found)["scenes"] == 1
    assert "~1" in output


@pytest.mark.long
def test_a_tape_whose_language_is_voted_on_is_planned_before_the_vote(copy):
    row = {"tape": "T01", "source": "captures/T01.mkv", "title": "Counting", "field_order": "tff"}
    copy.sheet(row)
    copy.configure(**JSON)
    for name in ("subtitles/0000050.srt", "subtitles/0000100.srt", "T01.srt"):
        copy.path(f"results/T01/{name}").unlink()
    found, _ = plan(copy)
    assert Counter(found["jobs"]) == to_do(copy)
    assert found["jobs"]["detect_language"] == 1
    assert found["jobs"]["transcribe_scene"] == SCENES
    assert not any(to_come(found).values())


@pytest.mark.long
def test_ready_scenes_and_tapes_beside_each_other_are_planned(tmp_path):
    project = Project(tmp_path / "project")
    (project.folder / "scenes").mkdir()
    for name in ("1.mkv", "2.mkv"):
        make_capture(project.path(f"scenes/{name}"), frames=20, size=(360, 288))
    make_capture(project.path("a.mkv"), frames=40, size=(360, 288))
    rows = ({"tape": tape, "source": source, "language": "en"} for tape, source in (("F", "scenes"), ("T", "a.mkv")))
    project.sheet(*rows)
    project.configure(**JSON)
    found, output = plan(project)
    assert Counter(found["jobs"]) == to_do(project)
    assert "Tapes finished after: F " in output
    project.make("results/F/F.mkv")
    found, output = plan(project)
    assert Counter(found["jobs"]) == to_do(project)
    assert "partly built-in" in output or "measured here" in output

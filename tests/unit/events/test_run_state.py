"""How a run goes by its events, and that it is what the notes of its jobs say."""

import os
import subprocess
import sys

import pytest

from tapemill.core.errors import ConfigError
from tapemill.events import attempts
from tapemill.events import log as events
from tapemill.events.attempts import AttemptLog
from tapemill.events.run_state import JobCounts, RunState, latest_run
from tests.support.event_script import RUN, START, Script
from tests.support.project import ROOT

SCENES = {"detect_scenes": 1, "cut_scene": 3}
# A job script as Snakemake starts it: `script.run` around what the test says. Its run is a process that ended long ago
# by its number, so that no lifeline ends the job.
JOB = """
import os, signal, sys
from collections import namedtuple
from types import SimpleNamespace
from tapemill.jobs import attempt_store as attempts
from tapemill.process import liveness as lifeline
from tapemill.jobs import retry as retrying
from tapemill.jobs import entrypoint as script
from tapemill.core.errors import GateError, OutOfMemory, ToolKilled
from tapemill.core.job_warnings import JobWarning
from tapemill.process.signals import Stopped

lifeline.current_run = lambda: namedtuple("Run", "id alive is_here")("run", True, True)
lifeline.on_end = lambda run, then: None
retrying.BACKOFF_S = (0.0,)

def main(job):
    WORK

script.run_job(main, SimpleNamespace(rule="x", log=[sys.argv[1]], config={"ffmpeg": None}))
"""
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
STOP = "os.kill(os.getpid(), signal.SIGTERM)"
HICCUP = "raise ToolKilled('killed', remedy='try again')"
BAD = "raise GateError('too short', remedy='look')"
FULL = "raise OutOfMemory('full', remedy='less')"
WELL = "return []"
KEPT = "return [JobWarning('kept', 'SceneError: corrupt')]"
LESS = "return [JobWarning('lowered', 'smaller tiles')]"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_state(*, is_new=True):
    found = RunState(RUN)
    assert found.update() is is_new
    return found


def test_planned_jobs_are_to_do_until_they_are_told_of(folder):
    script = Script(folder)
    script.begin({"T01": {"detect_scenes": 1}})
    script.job(0, 5, "detect_scenes")
    script.write(5, "jobs_planned", jobs={}, tapes={"T01": SCENES})
    script.job(6, 9, "cut_scene", scene="0000000")
    script.job(6, None, "cut_scene", scene="0000050")
    found = run_state()
    assert found.counts() == {("T01", "detect_scenes"): JobCounts(done=1), ("T01", "cut_scene"): JobCounts(1, 1, 0, 1)}
    assert (found.state, found.is_over) == ("active", False)
    assert found.update() is False


def test_rules_that_work_on_no_tape_are_counted_without_one(folder):
    script = Script(folder)
    script.begin({"models": {"models": 1}})
    script.job(0, None, "models", "models")
    assert run_state().counts() == {("", "models"): JobCounts(running=1)}


def test_a_failed_job_is_to_do_while_it_may_be_tried_again(folder):
    script = Script(folder)
    script.begin({"T01": {"cut_scene": 3}}, retries=1)
    script.job(0, 1, "cut_scene", scene="1", outcome="failed")
    script.job(0, 1, "cut_scene", scene="2", outcome="failed", is_final=True, kind="scene")
    script.job(0, 1, "cut_scene", scene="3", outcome="failed")
    script.job(1, 2, "cut_scene", scene="3", outcome="failed", attempt=2)
    found = run_state()
    assert found.counts() == {("T01", "cut_scene"): JobCounts(failed=2, to_do=1)}
    assert {job.scene for job in found.outcome().failed} == {"2", "3"}
    script.end(3, is_ok=False)
    found.update()
    assert found.counts() == {("T01", "cut_scene"): JobCounts(failed=3)}


def test_a_job_that_only_snakemake_saw_fail_is_failed_too(folder):
    script = Script(folder)
    script.begin({"T01": {"mux_tape": 1, "cut_scene": 1}})
    script.job(0, 1, "cut_scene", scene="0000000")
    unheard = {"rule": "mux_tape", "tape": "T01", "scene": "", "reason": "see Snakemake's message", "log": "logs/x.log"}
    refused = {**unheard, "rule": "cut_scene", "scene": "0000000"}
    script.end(2, is_ok=False, failed=[unheard, refused])
    found = run_state()
    assert set(found.counts().values()) == {JobCounts(failed=1)}
    assert {job.rule for job in found.outcome().failed} == {"mux_tape", "cut_scene"}


def test_a_run_on_another_machine_is_told_apart_from_one_that_was_killed(folder):
    Script(folder).begin({}, host="elsewhere")
    assert run_state().state == "elsewhere"


def test_a_killed_run_is_noticed_and_what_ran_is_lost(folder):
    main = (
        "import os, sys, time; sys.path.insert(0, sys.argv[1]);"
        "from tests.support.event_script import Script; script = Script('.');"
        "script.begin({'T01': {'cut_scene': 2}}); script.job(0, None, 'cut_scene', scene='0000000');"
        "print('here', flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    tests = str(ROOT)
    with subprocess.Popen([sys.executable, "-c", main, tests], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        found = run_state()
        assert found.state == "active"
        process.kill()
        process.wait()
    assert found.update() is False
    assert (found.state, found.is_over) == ("killed", True)
    assert found.counts() == {("T01", "cut_scene"): JobCounts(to_do=2)}
    assert [attempt.outcome for attempt in found.history.attempts] == ["lost"]
    assert found.outcome().interrupted == 1


def test_events_whose_first_line_is_lost_are_no_run_that_was_killed(folder):
    Script(folder).job(0, 1, "cut_scene", scene="0000000")
    found = run_state()
    assert found.state == "elsewhere"
    assert found.counts() == {("T01", "cut_scene"): JobCounts(done=1)}


def test_the_latest_run_is_found_or_the_one_that_is_named(folder):
    with pytest.raises(ConfigError, match="there are no events of a run"):
        latest_run(None)
    for run in ("20261121T100000Z-here-1-1", "20261121T110000Z-here-1-1", "20261122T100000Z-here-1-1"):
        Script(folder, run).begin({})
    assert latest_run(None).name == "20261122T100000Z-here-1-1"
    assert latest_run("20261121T10").name == "20261121T100000Z-here-1-1"
    with pytest.raises(ConfigError, match="2 runs here begin with 20261121"):
        latest_run("20261121")
    with pytest.raises(ConfigError, match="no runs here begin with 2025"):
        latest_run("2025")


def attempt(log, work):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), events.RUN_VARIABLE: RUN}
    command = [sys.executable, "-c", JOB.replace("WORK", work), f"logs/{log}.log"]
    return subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode


JOBS = {
    "lost": ({"cut_scene/T01/0000000": [DIE, WELL]}, {"tried_again": 1, "attempts_lost": 1}),
    "lost twice": (
        {"cut_scene/T01/0000000": [HICCUP, DIE, WELL], "cut_scene/T01/0000050": [DIE]},
        {"tried_again": 1, "attempts_lost": 2, "interrupted": 1},
    ),
    "lowered and kept": (
        {"enhance_scene/T01/0000000": [FULL, LESS], "enhance_scene/T01/0000050": [KEPT]},
        {"tried_again": 1, "attempts_lost": 1, "lowered": 1, "replaced": 1},
    ),
    "failed and stopped": (
        {"cut_scene/T01/0000000": [BAD], "enhance_scene/T01/0000000": [STOP]},
        {"failed": 1, "interrupted": 1},
    ),
    "stopped in another attempt": (
        {"cut_scene/T01/0000000": [HICCUP, STOP], "mux_tape/T01": [HICCUP, BAD]},
        {"failed": 1, "interrupted": 1},
    ),
}


@pytest.mark.parametrize(("jobs", "expected"), JOBS.values(), ids=JOBS)
def test_events_of_real_jobs_become_the_outcome_of_their_run(folder, jobs, expected):
    Script(folder).begin({})
    for log, works in jobs.items():
        for work in works:
            attempt(log, work)
    failed_logs = [f"logs/{log}.log" for log, works in jobs.items() if works[-1] == BAD]
    at_end = run_state().outcome_at_end(failed_logs)
    counts = {name: len(value) if isinstance(value, tuple) else value for name, value in vars(at_end).items()}
    assert {name: number for name, number in counts.items() if number} == expected
    # Whoever reads the events later finds the same.
    later = run_state()
    later.history.mark_running_lost()
    assert later.outcome() == at_end


def test_an_attempt_whose_every_event_is_lost_counts_all_the_same(folder):
    # The number of the one after it says that it was.
    script = Script(folder)
    script.begin({})
    script.job(5, 6, "cut_scene", scene="0000000", attempt=3)
    facts = run_state().outcome()
    assert (facts.tried_again, facts.attempts_lost) == (1, 2)


def test_history_event_by_event_is_history_as_a_whole(folder):
    script = Script(folder)
    script.begin({})
    script.job(0, 1, "cut_scene", scene="1", outcome="failed")
    script.job(1, 2, "cut_scene", scene="1", attempt=2)
    script.job(1, None, "cut_scene", scene="2")
    read = events.read_events(RUN, folder / "events")
    step_by_step = AttemptLog()
    for event in read:
        step_by_step.add(event)
    assert step_by_step.attempts == attempts.fold_attempts(read)
    assert [each.outcome for each in attempts.fold_attempts(read)] == ["failed", "done", "running"]
    assert [each.outcome for each in attempts.fold_attempts(read, is_over=True)] == ["failed", "done", "lost"]
    assert attempts.fold_attempts(read)[0].work_started_at == START

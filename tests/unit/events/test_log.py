"""Events: written whole by many at once, read whatever happened, and as the schema says."""

import json
import multiprocessing
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from jsonschema import Draft202012Validator

from tapemill.core import progress
from tapemill.core.errors import GateError
from tapemill.core.job_warnings import JobWarning
from tapemill.events import attempts
from tapemill.events import log as events
from tapemill.jobs import entrypoint
from tests.support.project import ROOT

pytestmark = pytest.mark.usefixtures("handlers")

SCHEMA = yaml.safe_load((ROOT / "config/schemas/event.schema.yaml").read_text())
JOB = {"rule": "enhance_scene", "tape": "T01", "scene": "0000050", "log": "logs/enhance_scene/T01/0000050.log"}


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(events.RUN_VARIABLE, "")
    return events.start_log("1-1")


def lines():
    (path,) = events.FOLDER.glob("*.jsonl")
    return path.read_bytes().splitlines()


def valid(run):
    for line in lines():
        Draft202012Validator(SCHEMA).validate(json.loads(line))
    return events.read_events(run)


def _many(number):
    for index in range(200):
        events.emit("job_started", **JOB, attempt=number + 1, pid=index)


def test_many_writers_do_not_mix_their_lines(run):
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.map(_many, range(8))
    found = valid(run)
    assert len(lines()) == len(found) == 1600
    assert {(event.facts["attempt"], event.facts["pid"]) for event in found} == {
        (number + 1, index) for number in range(8) for index in range(200)
    }


def test_a_run_is_found_on_a_machine_that_knows_its_domain(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "attic.home.example")
    run = events.start_log("2-2")
    events.emit("job_started", **JOB, attempt=1)
    assert events.list_runs() == [run]
    assert [event.run for event in events.read_events(run)] == [run]


def test_a_line_that_was_cut_off_costs_no_other(run):
    events.emit("job_started", **JOB, attempt=1)
    (path,) = events.FOLDER.glob("*.jsonl")
    with path.open("ab") as stream:
        stream.write(b'{"time": "2026-11-21T10:00:00.000+00:00", "run": "x", "eve')
    events.emit("job_done", **JOB, attempt=1, seconds=1.0)
    assert [event.kind for event in events.read_events(run)] == ["job_started", "job_done"]


def test_lines_that_are_no_events_are_left_out():
    strange = [b"", b"[]", b"7", b"\xff\xfe", b'{"event": "x"}', b'{"time": "noon", "run": "x", "event": "x"}']
    assert not list(events.parse_events(strange))


def test_outside_a_run_nothing_is_written(monkeypatch):
    monkeypatch.delenv(events.RUN_VARIABLE)
    events.emit("job_started", **JOB, attempt=1)
    assert not events.FOLDER.exists()


def test_a_folder_that_cannot_be_written_fails_no_job(caplog):
    events.FOLDER.write_text("in the way")
    events.emit("job_started", **JOB, attempt=1)
    assert "an event is lost" in caplog.text


def test_names_that_are_no_utf8_are_written(run):
    events.emit("run_started", command=["snakemake", "a\udce4"], run_id="1-1", cores=2)
    (event,) = valid(run)
    assert event.facts["command"][1] == "a\udce4"


def job():
    return SimpleNamespace(rule=JOB["rule"], log=[JOB["log"]], config={"ffmpeg": None})


def test_a_job_tells_its_whole_course(run, monkeypatch):
    def main(_):
        monkeypatch.setattr(progress, "REPORT_INTERVAL_S", 0.0)
        progress.report("on a card", lane="gpu1", device_uuid="abc")
        counter = progress.Progress(40)
        counter.advance(10)
        return [JobWarning("kept", "the clip is black")]

    entrypoint.run_job(main, job())
    started, at_once, told, done = valid(run)
    kinds = [started.kind, at_once.kind, told.kind, done.kind]
    assert kinds == ["job_started", "job_told", "job_progress", "job_done"]
    assert (at_once.facts["lane"], at_once.facts["attempt"]) == ("gpu1", 1)
    assert told.facts["frames"] == 10
    assert told.facts["total_frames"] == 40
    assert (done.facts["lane"], done.facts["device_uuid"]) == ("gpu1", "abc")
    assert done.facts["notices"] == [{"kind": "kept", "reason": "the clip is black", "scene": ""}]
    assert "10 of 40 frames" in Path(JOB["log"]).read_text()
    (attempt,) = attempts.fold_attempts(events.read_events(run))
    assert (attempt.rule, attempt.tape, attempt.scene) == ("enhance_scene", "T01", "0000050")
    assert (attempt.outcome, attempt.facts["lane"], attempt.facts["frames"]) == ("done", "gpu1", 10)


def test_a_failed_job_tells_why(run):
    def main(_):
        raise GateError("the clip is short", remedy="run again")

    with pytest.raises(SystemExit):
        entrypoint.run_job(main, job())
    (attempt,) = attempts.fold_attempts(valid(run))
    assert attempt.outcome == "failed"
    assert (attempt.facts["kind"], attempt.facts["is_final"]) == ("scene", True)
    assert attempt.facts["reason"] == "GateError: the clip is short"


def test_an_attempt_that_another_follows_or_the_end_was_lost(run):
    events.emit("job_started", **JOB, attempt=1)
    events.emit("job_started", **JOB, attempt=2)
    assert [each.outcome for each in attempts.fold_attempts(events.read_events(run))] == ["lost", "running"]
    events.emit("job_done", **JOB, attempt=2, seconds=1.0)
    other = JOB | {"log": "logs/enhance_scene/T01/0000100.log"}
    events.emit("job_started", **other, attempt=1)
    ended = dict.fromkeys(("tried_again", "attempts_lost", "lowered", "interrupted", "not_started"), 0)
    events.emit("run_ended", is_ok=False, failed=[], replaced=[], **ended)
    valid(run)
    assert [each.outcome for each in attempts.fold_attempts(events.read_events(run))] == ["lost", "done", "lost"]


def test_a_killed_writer_leaves_what_it_wrote(run, tmp_path):
    code = (
        f"import os, signal; os.environ[{events.RUN_VARIABLE!r}] = {run!r}; from tapemill.events import log as events;"
        f"events.emit('job_started', **{JOB!r}, attempt=1); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {"PYTHONPATH": str(ROOT / "scripts")}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert [event.kind for event in events.read_events(run)] == ["job_started"]
    assert events.list_runs() == [run]


def test_the_wait_for_a_lane_is_no_work(run):
    def main(_):
        time.sleep(0.5)
        progress.report("on a card", lane="cpu0")
        time.sleep(0.1)

    entrypoint.run_job(main, job())
    started, _, done = valid(run)
    assert 0.1 <= done.facts["seconds"] < 0.5
    (attempt,) = attempts.fold_attempts(events.read_events(run))
    assert attempt.duration > timedelta(seconds=0.6)
    assert attempt.work_started_at - started.time >= timedelta(seconds=0.5)


def test_what_the_job_was_given_is_told_at_its_start(run):
    given = job()
    given.threads, given.resources = 3, {"expected_s": 40, "gpu": 1}
    entrypoint.run_job(lambda _: None, given)
    started, _ = valid(run)
    assert (started.facts["threads"], started.facts["expected_s"]) == (3, 40)


def test_a_follower_reads_each_line_once_and_waits_for_half_ones(run):
    follower = events.EventTail(run)
    assert follower.new() == []
    events.emit("job_started", **JOB, attempt=1)
    assert [event.kind for event in follower.new()] == ["job_started"]
    (path,) = events.FOLDER.glob("*.jsonl")
    whole = path.read_bytes()
    with path.open("ab") as stream:
        stream.write(whole[:40])
    assert follower.new() == []
    with path.open("ab") as stream:
        stream.write(whole[40:])
    assert [event.kind for event in follower.new()] == ["job_started"]
    # The half line of a writer that was killed is lost, and no other.
    with path.open("ab") as stream:
        stream.write(whole[:40])
    assert follower.new() == []
    events.emit("job_done", **JOB, attempt=1, seconds=1.0)
    assert [event.kind for event in follower.new()] == ["job_done"]


def test_a_follower_finds_the_files_of_other_machines(run):
    events.emit("job_started", **JOB, attempt=1)
    (path,) = events.FOLDER.glob("*.jsonl")
    follower = events.EventTail(run)
    assert len(follower.new()) == 1
    path.with_name(f"{run}.elsewhere.jsonl").write_bytes(path.read_bytes())
    assert len(follower.new()) == 1
    assert follower.new() == []

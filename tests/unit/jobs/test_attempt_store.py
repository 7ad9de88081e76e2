import json
from pathlib import Path

import pytest

from tapemill.core.errors import ConfigError, OutOfMemory, SceneError, WorkerLost
from tapemill.jobs import attempt_store
from tapemill.jobs.attempt_store import AttemptFailure, RetryRecord

LOG = Path("logs/enhance_scene/T01/0000000.log")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def records():
    return {path.stem: path for path in attempt_store.RECORDS.rglob("*.json")}


def attempt(error=None, run="run", log=LOG):
    """One attempt of a job, which fails of `error`; what it knew of those before."""
    past = attempt_store.load(run, log)
    attempt_store.record_start(run, past)
    if error is None:
        attempt_store.record_success(run, past)
    else:
        attempt_store.record_failure(run, past, AttemptFailure.of(error, log))
    return past


def test_each_lack_of_memory_is_a_step_down_and_other_hiccups_are_none():
    for error in (OutOfMemory("too little"), WorkerLost("gone"), OutOfMemory("too little")):
        attempt(error)
    past = attempt_store.load("run", LOG)
    assert [failure.text for failure in past.failures][1] == "WorkerLost: gone"
    assert len(past.failures) == 3
    assert attempt_store.oom_count("run", LOG) == 2
    assert not past.is_final


@pytest.mark.parametrize("error", [SceneError("corrupt", file="a.mkv"), ConfigError("wrong")])
def test_an_error_that_will_not_pass_is_remembered(error):
    attempt(error)
    past = attempt_store.load("run", LOG)
    assert past.is_final
    assert past.failures[0].exit_code == error.exit_code
    assert past.failures[0].reason == f"{type(error).__name__}: {error.what}"
    assert str(error) in past.failures[0].text


def test_what_nobody_foresaw_is_tried_once_more():
    attempt(ZeroDivisionError("a fault of ours"))
    assert not attempt_store.load("run", LOG).is_final
    attempt(WorkerLost("gone"))
    assert not attempt_store.load("run", LOG).is_final
    attempt(ZeroDivisionError("a fault of ours"))
    assert attempt_store.load("run", LOG).is_final


def test_an_attempt_that_ended_without_a_word_is_counted():
    attempt_store.record_start("run", attempt_store.load("run", LOG))
    past = attempt_store.load("run", LOG)
    assert [failure.kind for failure in past.failures] == ["lost"]
    assert not past.is_final


def test_another_run_another_job_and_a_success_start_afresh():
    attempt(SceneError("corrupt"))
    assert attempt_store.load("later", LOG) == RetryRecord(str(LOG))
    assert attempt_store.load("run", Path("logs/enhance_scene/T01/0000050.log")).failures == ()
    attempt(WorkerLost("gone"), run="other")
    attempt(run="other")
    assert attempt_store.load("other", LOG) == RetryRecord(str(LOG))


def test_without_a_run_nothing_is_noted():
    attempt(SceneError("corrupt"), run=None)
    attempt(run=None)
    assert not attempt_store.RECORDS.exists()


def test_a_damaged_record_counts_nothing():
    attempt(SceneError("corrupt"))
    next(attempt_store.RECORDS.rglob("*.json")).write_text("{")
    assert attempt_store.load("run", LOG) == RetryRecord(str(LOG))


def test_a_record_of_an_older_version_is_read():
    attempt(WorkerLost("gone"))
    path = records()["0000000"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "notices": []}))
    assert attempt_store.load("run", LOG).failures[0].error == "WorkerLost"


def test_only_jobs_with_failures_leave_records_until_the_next_run_begins():
    attempt()
    attempt(WorkerLost("gone"), log=Path("logs/cut_scene/T01/0000050.log"))
    attempt(log=Path("logs/cut_scene/T01/0000050.log"))
    attempt(SceneError("corrupt"), log=Path("logs/mux_tape/T01.log"))
    states = {name: json.loads(path.read_text())["state"] for name, path in records().items()}
    assert states == {"0000050": "done", "T01": "failed"}
    attempt_store.remove_old_records("run")
    assert len(records()) == 2
    attempt_store.remove_old_records("next")
    assert not records()


def test_on_a_cluster_a_job_without_failures_leaves_word_that_it_is_done():
    past = attempt_store.load("run", LOG)
    attempt_store.record_start("run", past)
    assert not attempt_store.is_done("run", LOG)
    attempt_store.record_success("run", past, always=True)
    assert attempt_store.is_done("run", LOG)
    assert not attempt_store.is_done("run", Path("logs/cut_scene/T01/0000000.log"))


def test_a_record_that_cannot_be_read_now_counts_nothing():
    attempt(WorkerLost("gone"))
    path = records()["0000000"]
    path.unlink()
    # As good as a network drive that fails.
    path.mkdir()
    assert attempt_store.load("run", LOG) == RetryRecord(str(LOG))


def test_a_note_that_cannot_be_written_hides_no_error(caplog):
    attempt_store.RECORDS.parent.mkdir()
    attempt_store.RECORDS.write_text("a file where a folder should be")
    attempt_store.record_failure("run", RetryRecord(str(LOG)), AttemptFailure.of(SceneError("corrupt"), LOG))
    assert "cannot be written" in caplog.text


def test_a_record_that_cannot_be_removed_costs_no_finished_work(caplog):
    attempt(WorkerLost("gone"))
    (path,) = records().values()
    path.unlink()
    path.mkdir()
    attempt_store.record_success("run", RetryRecord(str(LOG)))
    assert "cannot be removed" in caplog.text

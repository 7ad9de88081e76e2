"""Retry policy in the main process: which failed jobs wait, which are not tried again, and what is left of old logs."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapemill.core.errors import FatalError, OutOfMemory, SceneError, ToolKilled
from tapemill.jobs import attempt_store, retry
from tapemill.jobs.attempt_store import AttemptFailure, RetryRecord
from tapemill.process import abort, liveness

LOG = "logs/cut_scene/T01/0000000.log"
OTHER = "logs/cut_scene/T01/0000050.log"


class Group(list):
    """A group of jobs, as Snakemake submits them together."""

    restart_times = 3

    def is_group(self):
        return True


def job(log=LOG):
    return SimpleNamespace(log=[log] if log else [], is_group=lambda: False, restart_times=3, _attempt=1)


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """The policy, installed in a scheduler that records the jobs that are reported to it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(retry, "_backing_off_until_s", {})
    # Its thread would look for a marker for as long as these tests run.
    monkeypatch.setattr(abort, "watch", lambda run, then: None)
    reported = []
    scheduler = SimpleNamespace(exit_gracefully=None, error_callback=reported.append, reported=reported)
    retry.install_retry_policy(scheduler)
    return scheduler


def fail(error, log=LOG):
    run = liveness.own_run().id
    past = attempt_store.load(run, Path(log))
    attempt_store.record_failure(run, past, AttemptFailure.of(error, Path(log)))


def record(log=LOG):
    return attempt_store.load(liveness.own_run().id, Path(log))


def in_an_hour(monkeypatch):
    now_s = time.monotonic()
    monkeypatch.setattr(retry.time, "monotonic", lambda: now_s + 3600)


def test_a_failed_job_waits_and_others_do_not(policy, monkeypatch):
    assert not retry.is_backing_off(job())
    fail(ToolKilled("by somebody"))
    failed = job()
    policy.error_callback(failed)
    assert policy.reported == [failed]
    assert retry.is_backing_off(job())
    assert not retry.is_backing_off(job(OTHER))
    assert not retry.is_backing_off(job(None))
    assert record().rests_until_s > time.time()
    in_an_hour(monkeypatch)
    assert not retry.is_backing_off(job())


def test_a_job_that_ran_out_of_memory_waits_only_for_its_log_to_be_read(policy, monkeypatch):
    fail(OutOfMemory("too little"))
    policy.error_callback(job())
    assert record().rests_until_s == 0
    now_s = time.monotonic()
    assert retry.is_backing_off(job())
    monkeypatch.setattr(retry.time, "monotonic", lambda: now_s + retry.LOG_READ_S)
    assert not retry.is_backing_off(job())


def test_a_job_that_would_fail_again_is_not_retried(policy):
    fail(SceneError("corrupt"))
    failed = job()
    policy.error_callback(failed)
    assert failed._attempt > failed.restart_times
    assert not retry.is_backing_off(job())
    assert policy.reported == [failed]


def test_a_job_that_a_signal_stopped_needs_no_pause(policy):
    fail(ToolKilled("by somebody"))
    attempt_store.record_stop(liveness.own_run().id, record())
    policy.error_callback(job())
    assert not retry.is_backing_off(job())


def test_a_job_without_a_log_is_reported_alone(policy):
    failed = job(None)
    policy.error_callback(failed)
    assert policy.reported == [failed]


def test_a_group_waits_for_those_of_its_jobs_that_failed(policy):
    members = Group([job(LOG), job(OTHER)])
    policy.error_callback(members)
    # None of them has started.
    assert not retry.is_backing_off(members)
    fail(ToolKilled("by somebody"), OTHER)
    policy.error_callback(members)
    assert retry.is_backing_off(members)
    assert retry.is_backing_off(job(OTHER))
    assert not retry.is_backing_off(job(LOG))


def test_a_group_with_a_job_that_would_fail_again_is_left_to_the_cluster(policy):
    members = Group([job(LOG), job(OTHER)])
    fail(SceneError("corrupt"))
    policy.error_callback(members)
    assert not hasattr(members, "_attempt")
    assert not retry.is_backing_off(members)


def test_records_of_earlier_runs_are_removed(policy):
    old = attempt_store.RECORDS / "1-2" / "jobs" / "logs" / "a.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    retry.install_retry_policy(policy)
    assert not old.exists()


def test_logs_that_an_earlier_run_kept_are_removed_by_the_first_attempt(tmp_path):
    log = tmp_path / "0000000.log"
    kept = [tmp_path / f"0000000.attempt{number}.log" for number in (1, 2)]
    for path in (log, *kept):
        path.touch()
    past = RetryRecord(str(log), failures=(AttemptFailure("transient", "ToolKilled", "by somebody", 75),))
    retry.exit_if_final(past)
    assert all(path.exists() for path in kept)
    retry.exit_if_final(RetryRecord(str(log)))
    assert log.exists() and not any(path.exists() for path in kept)


def test_a_failure_outside_of_a_run_is_recorded_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failure, is_final = retry.handle_failure(None, RetryRecord(LOG), FatalError("wrong"))
    assert (failure.kind, is_final) == ("fatal", True)
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_copied_hides_no_error(policy):
    failure, is_final = retry.handle_failure(liveness.own_run().id, RetryRecord(LOG), ToolKilled("by somebody"))
    assert (failure.kind, is_final) == ("transient", False)
    assert [each.error for each in record().failures] == ["ToolKilled"]

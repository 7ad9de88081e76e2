"""Retry policy of jobs: which errors are retried, after which pause, and which logs are kept.

Snakemake restarts a failed job at once, as often as the profile says, whatever the error was.
"""

from __future__ import annotations

import logging
import random
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tapemill import events
from tapemill.core.errors import FatalError, TapemillError
from tapemill.process import abort, liveness
from tapemill.snakemake_compat.retries import stop_retries

from . import attempt_store
from .attempt_store import AttemptFailure, RetryRecord

LOG = logging.getLogger("tapemill")

# Before the second, third and fourth attempt: a driver that was reset is back within seconds, a machine that swaps or a
# network drive that stalls within half a minute.
BACKOFF_S = (2.0, 8.0, 30.0)
# Share by which a pause varies at random: jobs that failed together do not start together again.
BACKOFF_SPREAD = 0.25
# Time for another thread to print the log of a failed job before it is removed for the next attempt.
LOG_READ_S = 0.5

_backing_off_until_s: dict[str, float] = {}
"""In a main process: end of the back-off of each job, by its log, in seconds of the monotonic clock."""


def install_retry_policy(scheduler: Any) -> None:
    """Install the policy in Snakemake's scheduler, at the start of a run in its main process.

    Permanent errors are not retried, and after a fatal error no more jobs start.
    """
    run = liveness.own_run()
    attempt_store.remove_old_records(run.id)
    abort.watch(run.id, scheduler.exit_gracefully)
    report = scheduler.error_callback

    def error_callback(job: Any) -> None:
        """Called by Snakemake's executors for each failed job, before Snakemake decides whether to retry it."""
        # Jobs of a group that did not start need no pause; cluster.group_failure decides which are retried.
        for single in job if job.is_group() else [job] if job.log else ():
            record = attempt_store.load(run.id, Path(single.log[0]))
            if record.is_final and not job.is_group():
                stop_retries(job)
            elif record.state != "stopped" and not record.is_final and (record.failures or not job.is_group()):
                _back_off(run.id, record)
        report(job)

    scheduler.error_callback = error_callback


def is_backing_off(job: Any) -> bool:
    """Whether a failed job, or one of a group, must not start yet. Its GPU is free for others meanwhile."""
    if not _backing_off_until_s:
        return False
    now_s = time.monotonic()
    return any(_backing_off_until_s.get(_log(single), 0.0) > now_s for single in (job if job.is_group() else [job]))


def exit_if_final(past: RetryRecord) -> None:
    """Log the errors of earlier attempts, and exit if another attempt would fail with the same error."""
    if not past.failures:
        _remove_kept_logs(past)
    for number, failure in enumerate(past.failures, 1):
        LOG.warning("attempt %d failed: %s (log: %s)", number, failure.text, failure.log or "lost")
    if past.is_final:
        LOG.error("not retried: this error would occur again")
        sys.exit(past.failures[-1].exit_code)


def wait_backoff(run_id: str | None, past: RetryRecord) -> None:
    """Wait for the rest of the job's back-off: all of it under a scheduler that does not ask `is_backing_off`."""
    # The end of the back-off may come from the clock of another machine.
    wait_s = min(past.rests_until_s - time.time(), BACKOFF_S[-1] * (1 + BACKOFF_SPREAD))
    if wait_s > 0:
        LOG.info("waiting for %.0f s before attempt %d", wait_s, len(past.failures) + 1)
    until_s = time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0 and not abort.abort_reason(run_id):
        time.sleep(min(left_s, abort.POLL_INTERVAL_S))


def exit_if_aborted(run_id: str | None, past: RetryRecord) -> None:
    """Exit if another job requested the abort of the run."""
    cause = abort.abort_reason(run_id)
    if cause is not None:
        attempt_store.record_not_started(run_id, past)
        events.emit("job_not_started", **past.job)
        LOG.error("not started: %s (log: %s)", cause.message.partition("\n")[0], cause.log)
        sys.exit(FatalError.exit_code)


def handle_failure(run_id: str | None, past: RetryRecord, error: Exception) -> tuple[AttemptFailure, bool]:
    """Record a failure for the next attempt, and abort the run if all other jobs would fail as well.

    Returns the failure, and whether it is final. If another attempt follows, the log is copied, because Snakemake
    removes it before that attempt.
    """
    failure = AttemptFailure.of(error, Path(past.log))
    is_final = replace(past, failures=(*past.failures, failure)).is_final
    if run_id is None:
        return failure, is_final
    if not is_final:
        copy = _kept_log(past, len(past.failures) + 1)
        with suppress(OSError):
            shutil.copyfile(past.log, copy)
        failure = replace(failure, log=str(copy))
    attempt_store.record_failure(run_id, past, failure)
    if isinstance(error, TapemillError) and error.stops_run:
        abort.request_abort(run_id, abort.AbortReason(failure.text, past.log))
    return failure, is_final


def _back_off(run_id: str, record: RetryRecord) -> None:
    """Start the back-off of a job. After running out of memory there is none: the next attempt needs less."""
    wait_s = LOG_READ_S
    # A job that did not start has no failure recorded.
    if record.failures and record.failures[-1].kind != "memory":
        pause_s = BACKOFF_S[min(len(record.failures), len(BACKOFF_S)) - 1]
        wait_s = pause_s * random.uniform(1 - BACKOFF_SPREAD, 1 + BACKOFF_SPREAD)
        attempt_store.record_backoff(run_id, record, time.time() + wait_s)
    _backing_off_until_s[str(Path(record.log))] = time.monotonic() + wait_s


def _log(job: Any) -> str:
    return str(Path(job.log[0])) if job.log else ""


def _remove_kept_logs(past: RetryRecord) -> None:
    """Remove log copies of an earlier run."""
    number = 1
    while (old := _kept_log(past, number)).exists():
        old.unlink()
        number += 1


def _kept_log(past: RetryRecord, attempt: int) -> Path:
    return Path(past.log).with_suffix(f".attempt{attempt}.log")

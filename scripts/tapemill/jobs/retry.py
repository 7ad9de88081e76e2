"""Around the attempts of a job: which are made at all, after what rest, and what is left of those that failed.

Snakemake starts a failed job again at once, as often as the profile says, whatever it failed of.
"""

from __future__ import annotations

import itertools
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
from .attempt_store import Failure, JobNote

LOG = logging.getLogger("tapemill")

# Before the second, third and fourth attempt: a driver that was reset is back within seconds, a machine that swaps or a
# network drive that stalls within half a minute.
WAITS_S = (2.0, 8.0, 30.0)
# Jobs that failed together do not come back together.
SPREAD = 0.25
# For the terminal's writer, another thread, to read a log of some lines before it is removed for the next attempt.
READING_S = 0.5

_resting: dict[str, float] = {}
"""In a main process: jobs by their logs, and until when they rest, in seconds of the monotonic clock."""


def begin(scheduler: Any) -> None:
    """At the start of a run, in its main process, with Snakemake's scheduler.

    What does not pass by itself is not tried again, and a fatal error lets no more jobs start.
    """
    run = liveness.own_run()
    attempt_store.begin(run.id)
    abort.watch(run.id, scheduler.exit_gracefully)
    report = scheduler.error_callback

    def error_callback(job: Any) -> None:
        """Called by Snakemake's executors for each job that failed, before it is decided whether it is tried again."""
        # Of a group, jobs that did not come to work have nothing to rest from; which are tried again is seen later.
        for single in job if job.is_group() else [job] if job.log else ():
            note = attempt_store.before(run.id, Path(single.log[0]))
            if note.is_final and not job.is_group():
                stop_retries(job)
            elif note.state != "stopped" and not note.is_final and (note.failures or not job.is_group()):
                _rest(run.id, note)
        report(job)

    scheduler.error_callback = error_callback


def rests(job: Any) -> bool:
    """Whether a job that failed, or one of a group, is to be left alone for now. Its card is for others meanwhile."""
    if not _resting:
        return False
    now_s = time.monotonic()
    return any(_resting.get(_log(single), 0.0) > now_s for single in (job if job.is_group() else [job]))


def leave_if_final(past: JobNote) -> None:
    """Say in the new log what earlier attempts failed of, and exit if another one makes no sense."""
    if not past.failures:
        _forget_logs(past)
    for number, failure in enumerate(past.failures, 1):
        LOG.warning("attempt %d failed: %s (log: %s)", number, failure.text, failure.log or "lost")
    if past.is_final:
        LOG.error("not tried again: this does not pass by itself")
        sys.exit(past.failures[-1].exit_code)


def recover(run_id: str | None, past: JobNote) -> None:
    """Wait for what is left of the job's rest: all of it under a scheduler that knows nothing of `rests`."""
    # It was another machine's clock that it was told by, perhaps.
    wait_s = min(past.rests_until_s - time.time(), WAITS_S[-1] * (1 + SPREAD))
    if wait_s > 0:
        LOG.info("waiting for %.0f s before attempt %d", wait_s, len(past.failures) + 1)
    until_s = time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0 and not abort.abort_reason(run_id):
        time.sleep(min(left_s, abort.POLL_INTERVAL_S))


def leave_if_stopped(run_id: str | None, past: JobNote) -> None:
    """Exit if another job has met what would fail this one too."""
    cause = abort.abort_reason(run_id)
    if cause is not None:
        attempt_store.not_started(run_id, past)
        events.write("job_not_started", **past.job)
        LOG.error("not started: %s (log: %s)", cause.message.partition("\n")[0], cause.log)
        sys.exit(FatalError.exit_code)


def note_failure(run_id: str | None, past: JobNote, error: Exception) -> tuple[Failure, bool]:
    """Tell the next attempt and the summary, and all other jobs if they would fail as well.

    Returns what is noted, and whether there is no sense in another attempt. The log is copied if one is to come, before
    which Snakemake removes it.
    """
    failure = Failure.of(error, Path(past.log))
    is_final = replace(past, failures=(*past.failures, failure)).is_final
    if run_id is None:
        return failure, is_final
    if not is_final:
        kept = _kept(past, len(past.failures) + 1)
        with suppress(OSError):
            shutil.copyfile(past.log, kept)
        failure = replace(failure, log=str(kept))
    attempt_store.failed(run_id, past, failure)
    if isinstance(error, TapemillError) and error.stops_run:
        abort.request_abort(run_id, abort.AbortReason(failure.text, past.log))
    return failure, is_final


def _rest(run_id: str, note: JobNote) -> None:
    """Give what failed time to recover. Out of memory is no such thing: the next attempt does with less."""
    wait_s = READING_S
    # A job that never came to work has no failure noted.
    if note.failures and note.failures[-1].kind != "memory":
        wait_s = WAITS_S[min(len(note.failures), len(WAITS_S)) - 1] * random.uniform(1 - SPREAD, 1 + SPREAD)
        attempt_store.postponed(run_id, note, time.time() + wait_s)
    _resting[str(Path(note.log))] = time.monotonic() + wait_s


def _log(job: Any) -> str:
    return str(Path(job.log[0])) if job.log else ""


def _forget_logs(past: JobNote) -> None:
    """Remove the copies that an earlier run made."""
    for number in itertools.count(1):
        old = _kept(past, number)
        if not old.exists():
            return
        old.unlink()


def _kept(past: JobNote, attempt: int) -> Path:
    return Path(past.log).with_suffix(f".attempt{attempt}.log")

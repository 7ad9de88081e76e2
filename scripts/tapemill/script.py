"""What every job script does around its one function call: log, versions, errors, the configured ffmpeg."""

from __future__ import annotations

import itertools
import logging
import os
import platform
import random
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import attempts, fatal, ffmpeg, lifeline
from .attempts import Failure, JobNote
from .errors import FatalError, TapemillError, TransientError
from .notices import Notice

LOG = logging.getLogger("tapemill")

# Before the second, third and fourth attempt: a driver that was reset is back within seconds, a machine that swaps or a
# network drive that stalls within half a minute. A job holds its card and its core meanwhile, so no longer.
WAITS_S = (2.0, 8.0, 30.0)
# Jobs that failed together do not come back together.
SPREAD = 0.25


def run(main: Callable[[Any], Sequence[Notice] | None], job: Any) -> None:
    """Run `main(job)` with the rule's log file open; end with the exit code of the error's class if it fails.

    A TapemillError is shown as its message alone, on the terminal and in the log. Anything else is a fault of
    Tapemill, and keeps its traceback. An error that will not pass is not tried again, before another attempt at what
    may pass there is a pause, and a fatal error ends the run. The job ends with its run.
    """
    log = Path(job.log[0])
    current = lifeline.current_run()
    run_id = current.id if current else None
    past = attempts.before(run_id, log)
    _open_log(log)
    _tell_of(past)
    if past.is_final:
        LOG.error("not tried again: this does not pass by itself")
        sys.exit(past.failures[-1].exit_code)
    attempts.started(run_id, past)
    if current:
        lifeline.on_end(current, _stop)
    elif _is_snakemakes(job) and lifeline.run_is_gone():
        # Killed while this process was starting: then it is nobody's child any more, and nobody waits for it.
        _stop()
    _recover(run_id, past)
    _leave_if_stopped(run_id, past)
    LOG.info("rule %s, Python %s on %s", job.rule, platform.python_version(), platform.machine())
    ffmpeg.use(job.config.get("ffmpeg"))
    started = time.monotonic()
    try:
        notices = main(job)
    except TapemillError as error:
        LOG.error("%s: %s", type(error).__name__, error)
        _note_failure(run_id, past, error)
        # Snakemake prints the whole script's traceback for an exception; the message is what the operator needs.
        sys.exit(error.exit_code)
    except BaseException as error:
        LOG.exception("rule %s failed unexpectedly", job.rule)
        if isinstance(error, Exception):
            _note_failure(run_id, past, error)
        raise
    attempts.succeeded(run_id, past, notices or ())
    LOG.info("done in %.1f s", time.monotonic() - started)


def _tell_of(past: JobNote) -> None:
    """Snakemake removes the log of an attempt before the next one; what it keeps are copies, until the next run."""
    if not past.failures:
        for old in (_kept(past, number) for number in itertools.count(1)):
            if not old.exists():
                break
            old.unlink()
    for number, failure in enumerate(past.failures, 1):
        # What is not tried again has been on the terminal already.
        level = logging.INFO if past.is_final else logging.WARNING
        LOG.log(level, "attempt %d failed: %s (log: %s)", number, failure.text, failure.log or "lost")


def _kept(past: JobNote, attempt: int) -> Path:
    """Where the log of an attempt is kept."""
    return Path(past.log).with_suffix(f".attempt{attempt}.log")


def _recover(run_id: str | None, past: JobNote) -> None:
    """Give what failed time to recover. Out of memory is no such thing: the next attempt does with less."""
    if not past.failures or past.failures[-1].kind == "memory":
        return
    wait_s = WAITS_S[min(len(past.failures), len(WAITS_S)) - 1] * random.uniform(1 - SPREAD, 1 + SPREAD)
    LOG.info("waiting for %.0f s before attempt %d", wait_s, len(past.failures) + 1)
    until = time.monotonic() + wait_s
    while (left_s := until - time.monotonic()) > 0 and not fatal.cause(run_id):
        time.sleep(min(left_s, fatal.PAUSE_S))


def _leave_if_stopped(run_id: str | None, past: JobNote) -> None:
    cause = fatal.cause(run_id)
    if cause is not None:
        attempts.not_started(run_id, past)
        LOG.error("not started: %s (log: %s)", cause.message.partition("\n")[0], cause.log)
        sys.exit(FatalError.exit_code)


def _note_failure(run_id: str | None, past: JobNote, error: Exception) -> None:
    """Tell the next attempt and the summary; keep the log, which Snakemake will remove."""
    if run_id is None:
        return
    kept = _kept(past, len(past.failures) + 1)
    with suppress(OSError):
        shutil.copyfile(past.log, kept)
    failure = Failure.of(error, kept)
    attempts.failed(run_id, past, failure)
    if isinstance(error, TapemillError) and error.stops_run:
        fatal.stop(run_id, fatal.Cause(failure.text, str(kept)))


def _is_snakemakes(job: Any) -> bool:
    """Whether Snakemake started this script, rather than a person or a test."""
    return type(job).__module__.partition(".")[0] == "snakemake"


def _stop() -> None:
    """End this process at once; ffmpeg, and a worker that works for it, go with it."""
    LOG.error("the run this job belongs to is gone, so the job stops")
    logging.shutdown()
    os._exit(TransientError.exit_code)


def _open_log(path: Path) -> None:
    """Everything to the log file, warnings and errors to the terminal as well."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    # Of a failed job Snakemake shows the whole log, with the error at its end: once is enough.
    terminal.addFilter(lambda record: record.levelno < logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [terminal]
    handlers.append(logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)

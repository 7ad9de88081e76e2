"""What every job script does around its one function call: log, versions, errors, the configured ffmpeg."""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tapemill import events
from tapemill.core.errors import TapemillError, TransientError
from tapemill.core.job_warnings import JobWarning
from tapemill.media import ffmpeg
from tapemill.process import liveness, signals
from tapemill.storage import disk_space, mtimes

from . import attempt_store, retry
from .attempt_store import JobNote

LOG = logging.getLogger("tapemill")

STOP_S = 1.0


def run(main: Callable[[Any], Sequence[JobWarning] | None], job: Any) -> None:
    """Run `main(job)` with the rule's log file open; end with the exit code of the error's class if it fails.

    A TapemillError is shown as its message alone, on the terminal and in the log. Anything else is a fault of
    Tapemill, and keeps its traceback. An error that will not pass is not tried again, before another attempt at what
    may pass there is a pause, and a fatal error ends the run. The job ends with its run; at Ctrl-C or SIGTERM it
    removes what is half-made and ends.
    """
    log = Path(job.log[0])
    current = liveness.current_run()
    run_id = current.id if current else None
    # In a job of a cluster they are two: a process there, and the run's main process elsewhere.
    masters = {master for master in (liveness.supervisor(), current) if master}
    if not all(master.alive for master in masters):
        # Killed while this process was starting. The log may be the next run's by now.
        _stop()
    past = attempt_store.before(run_id, log)
    try:
        with disk_space.translate_os_errors(log):
            _open_log(log)
    except TapemillError as error:
        sys.exit(_said(error))
    retry.leave_if_final(past)
    attempt_store.started(run_id, past)
    work = events.AttemptEventHandler(past.job)
    work.started(**_held(job))
    logging.getLogger().addHandler(work)
    for master in masters:
        liveness.watch(master, _stop)
    LOG.info("rule %s, Python %s on %s", job.rule, platform.python_version(), platform.machine())
    ffmpeg.set_binary(job.config.get("ffmpeg"))
    started = time.monotonic()
    try:
        with signals.stoppable():
            signals.watch_stop_file(run_id)
            retry.recover(run_id, past)
            retry.leave_if_stopped(run_id, past)
            work.begins()
            made = [Path(file) for file in getattr(job, "output", ())]
            with disk_space.translate_os_errors((made or [log])[0]):
                mtimes.clamp_future_mtimes(getattr(job, "input", ()))
                disk_space.check_job(made, getattr(job, "resources", {}), job.config)
                notices = main(job)
    except signals.Stopped as stop:
        LOG.error("stopped by %s; the next run does this job again", stop.signal.name)
        attempt_store.stopped(run_id, past)
        work.ended("job_stopped")
        sys.exit(stop.exit_code)
    except TapemillError as error:
        LOG.error("%s: %s", type(error).__name__, error)
        _failed(run_id, past, error, work)
        # Snakemake prints the whole script's traceback for an exception; the message is what the operator needs.
        sys.exit(error.exit_code)
    except Exception as error:
        LOG.exception("rule %s failed unexpectedly", job.rule)
        _failed(run_id, past, error, work)
        raise
    attempt_store.succeeded(run_id, past, notices or (), always=liveness.has_supervisor())
    work.ended("job_done", notices=[asdict(notice) for notice in notices or ()])
    LOG.info("done in %.1f s", time.monotonic() - started)


def _failed(run_id: str | None, past: JobNote, error: Exception, work: events.AttemptEventHandler) -> None:
    failure, is_final = retry.note_failure(run_id, past, error)
    work.ended(
        "job_failed",
        kind=failure.kind,
        error=failure.error,
        reason=failure.reason,
        is_final=is_final,
        kept_log=failure.log,
    )


def _held(job: Any) -> dict[str, Any]:
    """What the job was given, for the events."""
    facts = {"threads": getattr(job, "threads", None)}
    facts["expected_s"] = dict(getattr(job, "resources", {}).items()).get("expected_s")
    return {name: value for name, value in facts.items() if isinstance(value, int)}


def _said(error: TapemillError) -> int:
    """Tell the terminal, where there is no log, and return the exit code."""
    sys.stderr.write(f"{type(error).__name__}: {error}\n")
    return error.exit_code


class _QuietHandler(logging.FileHandler):
    """A log on a full disk loses lines; the job's own error says why, and a traceback for each line would hide it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        del record

    def close(self) -> None:
        """Its last lines may find no room either."""
        with suppress(OSError):
            super().close()


def _stop() -> None:
    """End this process at once; ffmpeg, and a worker that works for it, go with it."""
    # A thread that cannot write, to a terminal that was stopped for instance, may hold the lock that the log needs.
    late = threading.Timer(STOP_S, os._exit, [TransientError.exit_code])
    late.daemon = True
    late.start()
    LOG.error("the run this job belongs to is gone, so the job stops")
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
    handlers.append(_QuietHandler(path, mode="w", encoding="utf-8", errors="backslashreplace"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)

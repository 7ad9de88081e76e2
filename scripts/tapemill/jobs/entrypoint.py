"""Entry point of job scripts: log, retry policy, errors, events and the configured ffmpeg around one function call."""

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
from tapemill.core.recipes import check_recipe
from tapemill.core.rule_catalog import changes_results
from tapemill.media import ffmpeg
from tapemill.process import liveness, signals
from tapemill.storage import checksums, disk_space, mtimes

from . import attempt_store, retry
from .attempt_store import RetryRecord

LOG = logging.getLogger("tapemill")

EXIT_TIMEOUT_S = 1.0


def run_job(main: Callable[[Any], Sequence[JobWarning] | None], job: Any) -> None:
    """Run `main(job)` with the rule's log file open; end with the exit code of the error's class if it fails.

    Of a TapemillError only the message is printed and logged. Any other exception is a defect of Tapemill and keeps its
    traceback. Retries follow the policy of `retry`. The job ends with its run; at Ctrl-C or SIGTERM it removes
    unfinished files and ends.
    """
    log = Path(job.log[0])
    current = liveness.current_run()
    run_id = current.id if current else None
    # A job on a cluster has two: a process on the node, and the run's main process on another machine.
    supervisors = {supervisor for supervisor in (liveness.supervisor(), current) if supervisor}
    if not all(supervisor.alive for supervisor in supervisors):
        # Killed while this process was starting. The log may belong to the next run by now.
        _exit_now()
    past = attempt_store.load(run_id, log)
    try:
        with disk_space.translate_os_errors(log):
            _open_log(log)
    except TapemillError as error:
        sys.exit(_print_error(error))
    retry.exit_if_final(past)
    attempt_store.record_start(run_id, past)
    handler = events.AttemptEventHandler(past.job)
    handler.emit_start(**_job_facts(job))
    logging.getLogger().addHandler(handler)
    for supervisor in supervisors:
        liveness.watch(supervisor, _exit_now)
    LOG.info("rule %s, Python %s on %s", job.rule, platform.python_version(), platform.machine())
    ffmpeg.set_binary(job.config.get("ffmpeg"))
    started = time.monotonic()
    try:
        with signals.stoppable():
            signals.watch_stop_file(run_id)
            retry.wait_backoff(run_id, past)
            retry.exit_if_aborted(run_id, past)
            handler.mark_work_start()
            outputs = [Path(file) for file in getattr(job, "output", ())]
            with disk_space.translate_os_errors((outputs or [log])[0]):
                _prepare(job, outputs)
                notices = main(job)
    except signals.Stopped as stop:
        LOG.error("stopped by %s; the next run does this job again", stop.signal.name)
        attempt_store.record_stop(run_id, past)
        handler.emit_end("job_stopped")
        sys.exit(stop.exit_code)
    except TapemillError as error:
        LOG.error("%s: %s", type(error).__name__, error)
        _failed(run_id, past, error, handler)
        # Snakemake prints the whole script's traceback for an exception; the message is what the operator needs.
        sys.exit(error.exit_code)
    except Exception as error:
        LOG.exception("rule %s failed unexpectedly", job.rule)
        _failed(run_id, past, error, handler)
        raise
    attempt_store.record_success(run_id, past, always=liveness.has_supervisor())
    handler.emit_end("job_done", notices=[asdict(notice) for notice in notices or ()])
    LOG.info("done in %.1f s", time.monotonic() - started)


def _prepare(job: Any, outputs: Sequence[Path]) -> None:
    mtimes.clamp_future_mtimes(getattr(job, "input", ()))
    disk_space.check_job(outputs, getattr(job, "resources", {}), job.config)
    tape = getattr(getattr(job, "wildcards", None), "tape", None)
    made_by = getattr(getattr(job, "params", None), "recipe", None)
    if tape and made_by:
        check_recipe(job.rule, tape, made_by)
    if tape and changes_results(job.rule):
        checksums.mark_changed(tape)


def _failed(run_id: str | None, past: RetryRecord, error: Exception, handler: events.AttemptEventHandler) -> None:
    failure, is_final = retry.handle_failure(run_id, past, error)
    handler.emit_end(
        "job_failed",
        kind=failure.kind,
        error=failure.error,
        reason=failure.reason,
        is_final=is_final,
        kept_log=failure.log,
    )


def _job_facts(job: Any) -> dict[str, Any]:
    """Threads and expected seconds of the job, for its events."""
    facts = {"threads": getattr(job, "threads", None)}
    facts["expected_s"] = dict(getattr(job, "resources", {}).items()).get("expected_s")
    return {name: value for name, value in facts.items() if isinstance(value, int)}


def _print_error(error: TapemillError) -> int:
    """Print an error to the terminal, where there is no log, and return its exit code."""
    sys.stderr.write(f"{type(error).__name__}: {error}\n")
    return error.exit_code


class _QuietHandler(logging.FileHandler):
    """Log file that ignores write errors: on a full disk a traceback for each line would hide the job's own error."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        del record

    def close(self) -> None:
        """Close the file; the disk may be full."""
        with suppress(OSError):
            super().close()


def _exit_now() -> None:
    """End this process at once, and with it ffmpeg and the worker that runs its function."""
    # A thread that blocks while writing, for instance to a stopped terminal, may hold the lock of the log.
    timer = threading.Timer(EXIT_TIMEOUT_S, os._exit, [TransientError.exit_code])
    timer.daemon = True
    timer.start()
    LOG.error("the run of this job has ended, so the job stops")
    os._exit(TransientError.exit_code)


def _open_log(path: Path) -> None:
    """Send all records to the log file, warnings to the terminal as well."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    # Snakemake prints the whole log of a failed job, with the error at its end: once is enough.
    terminal.addFilter(lambda record: record.levelno < logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [terminal]
    handlers.append(_QuietHandler(path, mode="w", encoding="utf-8", errors="backslashreplace"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)

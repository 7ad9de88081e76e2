"""What every job script does around its one function call: log, versions, errors, the configured ffmpeg."""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import attempts, diskspace, ffmpeg, filetimes, lifeline
from .errors import TapemillError, TransientError

LOG = logging.getLogger("tapemill")


def run(main: Callable[[Any], None], job: Any) -> None:
    """Run `main(job)` with the rule's log file open; end with the exit code of the error's class if it fails.

    A TapemillError is shown as its message alone, on the terminal and in the log. Anything else is a fault of
    Tapemill, and keeps its traceback. An error that will not pass is not tried again, and the job ends with its run.
    """
    log = Path(job.log[0])
    current = lifeline.current_run()
    run_id = current.id if current else None
    past = attempts.read(run_id, log)
    try:
        with diskspace.explained(log):
            _open_log(log)
    except TapemillError as error:
        sys.exit(_said(error))
    # Snakemake removes the log of an attempt before the next one.
    for number, message in enumerate(past.messages, 1):
        LOG.warning("attempt %d failed: %s", number, message)
    if past.is_final:
        LOG.error("not tried again: this does not pass by itself")
        sys.exit(past.exit_code)
    if current:
        lifeline.on_end(current, _stop)
    elif _is_snakemakes(job) and lifeline.run_is_gone():
        # Killed while this process was starting: then it is nobody's child any more, and nobody waits for it.
        _stop()
    LOG.info("rule %s, Python %s on %s", job.rule, platform.python_version(), platform.machine())
    ffmpeg.use(job.config.get("ffmpeg"))
    started = time.monotonic()
    try:
        made = [Path(file) for file in getattr(job, "output", ())]
        with diskspace.explained((made or [log])[0]):
            filetimes.settle(getattr(job, "input", ()))
            diskspace.check_job(made, getattr(job, "resources", {}), job.config)
            main(job)
    except TapemillError as error:
        attempts.failed(run_id, log, error)
        LOG.error("%s: %s", type(error).__name__, error)
        # Snakemake prints the whole script's traceback for an exception; the message is what the operator needs.
        sys.exit(error.exit_code)
    except BaseException:
        LOG.exception("rule %s failed unexpectedly", job.rule)
        raise
    attempts.succeeded(log)
    LOG.info("done in %.1f s", time.monotonic() - started)


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
    handlers.append(_QuietHandler(path, mode="w", encoding="utf-8", errors="backslashreplace"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)

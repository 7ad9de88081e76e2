"""Crash report of a run: the event `run_broken_off` if an error of Snakemake's own ends it.

Such an error, for example in the planning after a checkpoint or in a hook, ends Snakemake 9.27.1 without `onerror`: it
is printed, and the process exits. After a kill there is no event, and readers detect that (`events.run_state`).
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tapemill import events

ERROR_EVENT: Final = "error"
"""Snakemake's `LogEvent` of an error of its own; errors of jobs have other events."""


class CrashReporter(logging.Handler):
    """Logging handler that keeps the last error that Snakemake logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last_error: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each record of Snakemake's log."""
        if str(getattr(record, "event", "")) == ERROR_EVENT:
            self.last_error = record.getMessage()


_reporter: CrashReporter | None = None


def arm(then: Callable[[], None]) -> None:
    """Report a crash if this process ends before `disarm` is called.

    `then` is called after the event, in the folder that is the working folder now.
    """
    global _reporter  # noqa: PLW0603  a process is the main process of one run
    from snakemake.logging import logger

    _reporter = CrashReporter()
    logger.addHandler(_reporter)
    atexit.register(_emit_crash, os.getpid(), Path.cwd(), then)


def disarm() -> None:
    """Report no crash: the run has ended regularly."""
    global _reporter  # noqa: PLW0603  likewise
    _reporter = None


def _emit_crash(pid: int, folder: Path, then: Callable[[], None]) -> None:
    # Not in forked processes.
    if _reporter is None or os.getpid() != pid:
        return
    # Snakemake has returned to the folder where it was started (`--directory`).
    os.chdir(folder)
    events.emit("run_broken_off", reason=_reporter.last_error)
    then()

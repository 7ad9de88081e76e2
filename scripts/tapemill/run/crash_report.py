"""What a run says of itself if it ends before its time, by an error of Snakemake's own and not by that of a job.

Such an error, in a checkpoint's consequences for instance, or in a hook, ends Snakemake 9.27.1 without `onerror`: it is
printed, and the process exits. After a kill nobody says anything, and readers find that out (`course`).
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tapemill import events

ERROR: Final = "error"
"""Snakemake's `LogEvent` of an error that it prints; those of jobs are others."""


class LastWords(logging.Handler):
    """Keeps the last error that Snakemake told of."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each line of Snakemake's log."""
        if str(getattr(record, "event", "")) == ERROR:
            self.said = record.getMessage()


_words: LastWords | None = None


def expect(then: Callable[[], None]) -> None:
    """From now on the end of this process is the end of a run that was broken off, until `ended` says otherwise.

    `then` is called once that is told, in the folder that is the working folder now.
    """
    global _words  # noqa: PLW0603  a process is the main process of one run
    from snakemake.logging import logger

    _words = LastWords()
    logger.addHandler(_words)
    atexit.register(_tell, os.getpid(), Path.cwd(), then)


def ended() -> None:
    """The run has come to its end."""
    global _words  # noqa: PLW0603  likewise
    _words = None


def _tell(pid: int, folder: Path, then: Callable[[], None]) -> None:
    # Not in what was forked of it.
    if _words is None or os.getpid() != pid:
        return
    # By now Snakemake is back where it was started (`--directory`).
    os.chdir(folder)
    events.write("run_broken_off", reason=_words.said)
    then()

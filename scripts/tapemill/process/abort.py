"""A fatal error stops the run: what fails one job would fail all that are still to come.

The job leaves a note. A thread of Snakemake's main process finds it and tells the scheduler to start no more jobs;
those that run come to their end. A job that starts in between sees the note and leaves at once.

The scheduler is told from inside its process and not by SIGTERM: Snakemake's handler of that signal takes a lock that
its main thread may hold just then, and would wait for itself for ever.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from . import heartbeat

PAUSE_S = 0.25


@dataclass(frozen=True)
class Cause:
    """Why a run was stopped."""

    message: str
    """All of the error, with its class and remedy."""
    log: str
    """Log of the job that met it."""


def watch(run: str, then: Callable[[], None]) -> None:
    """In the run's main process: call `then` once, from a thread of its own, when the run is to stop."""
    threading.Thread(target=_watch, args=(run, then), name="fatal", daemon=True).start()


def stop(run: str, cause: Cause) -> None:
    """Have no more jobs started in the run with this id. The first cause counts."""
    path = _note(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"stop.{os.getpid()}")
    # Of a full disk the note may be empty; that it is there says enough.
    with suppress(OSError):
        partial.write_text(json.dumps(asdict(cause)), encoding="utf-8", errors="backslashreplace")
    if not path.exists():
        partial.replace(path)
    partial.unlink(missing_ok=True)


def cause(run: str | None) -> Cause | None:
    """Why the run with this id was stopped; None if it was not."""
    if run is None:
        return None
    try:
        return Cause(**json.loads(_note(run).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return Cause("an error that concerns all jobs", "")


def _watch(run: str, then: Callable[[], None]) -> None:
    while cause(run) is None:
        time.sleep(PAUSE_S)
    then()


def _note(run: str) -> Path:
    return heartbeat.NOTES / run / "stop.json"

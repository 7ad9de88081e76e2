"""Abort marker of a run: a fatal error in one job would fail all remaining jobs, so no more are started.

The job writes a marker file. A thread of Snakemake's main process finds it and makes the scheduler start no more
jobs; running jobs finish. A job that starts in between sees the marker and exits at once.

The scheduler is stopped from inside its process and not by SIGTERM: Snakemake's handler of that signal takes a lock
that its main thread may hold at that moment, which would be a deadlock.
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

POLL_INTERVAL_S = 0.25


@dataclass(frozen=True)
class AbortReason:
    """Reason of the abort of a run."""

    message: str
    """The whole error, with its class and remedy."""
    log: str
    """Log of the job that raised it."""


def watch(run: str, then: Callable[[], None]) -> None:
    """In the run's main process: call `then` once, from a new thread, when an abort is requested."""
    threading.Thread(target=_watch, args=(run, then), name="fatal", daemon=True).start()


def request_abort(run: str, reason: AbortReason) -> None:
    """Write the abort marker of the run with this id. The first reason counts.

    If that is impossible, the remaining jobs start and fail by themselves: it must not hide the reason.
    """
    path = _marker_path(run)
    partial = path.with_name(f"stop.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # On a full disk the marker may be empty; its existence is enough.
        with suppress(OSError):
            partial.write_text(json.dumps(asdict(reason)), encoding="utf-8", errors="backslashreplace")
        if not path.exists():
            partial.replace(path)
        partial.unlink(missing_ok=True)


def abort_reason(run: str | None) -> AbortReason | None:
    """Read the abort reason of the run with this id; None if it was not aborted."""
    if run is None:
        return None
    try:
        return AbortReason(**json.loads(_marker_path(run).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return AbortReason("an error that concerns all jobs", "")


def _watch(run: str, then: Callable[[], None]) -> None:
    while abort_reason(run) is None:
        time.sleep(POLL_INTERVAL_S)
    then()


def _marker_path(run: str) -> Path:
    return heartbeat.NOTES / run / "stop.json"

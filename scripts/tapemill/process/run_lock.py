"""Lock of a working folder: one run at a time, and no stale lock after a crash.

Snakemake's own lock file stays behind after `kill -9` and then blocks the next start; the kernel releases a `flock`.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO, Any

from tapemill.core.errors import FatalError
from tapemill.storage import disk_space

from . import liveness

LOCK = "tapemill.lock"

_held: IO[str] | None = None


def change_marker(folder: Path) -> int | None:
    """Return a number that changes with every start and end of a job in the folder; None where there never was one.

    Snakemake marks running jobs by files in a folder, and the folder's time changes with them. Call it before Snakemake
    looks at any result.
    """
    try:
        return (folder / "incomplete").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def acquire(folder: Path, planned_on: int | None = None) -> None:
    """Acquire the lock of a working folder until this process ends, as the main process of a run.

    Snakemake plans before the lock can be acquired. `planned_on` is the `change_marker` from before the planning: if
    another run was active meanwhile, the plan is out of date. Raises FatalError for that, or naming the run that holds
    the lock.
    """
    global _held  # noqa: PLW0603  closing the file would release the lock
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / LOCK).open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FatalError(
            f"another run is active in this folder: {_describe(holder(folder))}",
            file=Path.cwd(),
            remedy="wait for it, or stop it; nothing needs to be unlocked afterwards",
        ) from None
    _held = lock
    lock.truncate(0)
    with disk_space.translate_os_errors(folder / LOCK):
        json.dump(
            {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T"), "command": sys.argv},
            lock,
        )
        lock.flush()
    if planned_on is not None and planned_on != change_marker(folder):
        raise FatalError(
            "another run was just ending in this folder while this one made its plan",
            file=Path.cwd(),
            remedy="start the same command again",
        )
    liveness.begin_run()


def is_held() -> bool:
    """Whether this process holds the lock of a working folder."""
    return _held is not None


def holder(folder: Path) -> dict[str, Any] | None:
    """Read the last holder of a folder's lock (`pid`, `host`, `since`, `command`); None if it is not known."""
    try:
        with (folder / LOCK).open(encoding="utf-8") as lock:
            found = json.load(lock)
            return {name: found[name] for name in ("pid", "host", "since", "command")}
    except (OSError, ValueError, TypeError, LookupError):
        return None


def _describe(run: dict[str, Any] | None) -> str:
    if run is None:
        return "it has only just started"
    return f"process {run['pid']} on {run['host']}, since {run['since']}: {' '.join(run['command'])}"

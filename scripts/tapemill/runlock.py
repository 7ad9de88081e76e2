"""One run at a time in a working folder, without a lock that outlives its holder.

Snakemake's own lock stays behind after `kill -9` and then refuses to start; a `flock` is released by the kernel.
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

from . import diskspace
from .errors import FatalError

_held: IO[str] | None = None


def hold(folder: Path) -> None:
    """Take the lock of a working folder until this process ends. Raises FatalError naming the run that has it."""
    global _held  # noqa: PLW0603  closing the file would release the lock
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "tapemill.lock").open("a+", encoding="utf-8")
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
    with diskspace.explained(folder / "tapemill.lock"):
        json.dump(
            {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T"), "command": sys.argv},
            lock,
        )
        lock.flush()


def holder(folder: Path) -> dict[str, Any] | None:
    """Who took the lock of a folder last (`pid`, `host`, `since`, `command`); None if nobody, or only just now."""
    try:
        with (folder / "tapemill.lock").open(encoding="utf-8") as lock:
            return dict(json.load(lock))
    except (FileNotFoundError, ValueError):
        return None


def _describe(run: dict[str, Any] | None) -> str:
    if run is None:
        return "it has only just started"
    return f"process {run['pid']} on {run['host']}, since {run['since']}: {' '.join(run['command'])}"

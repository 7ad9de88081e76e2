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
from typing import IO

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
            f"another run is active in this folder: {_holder(lock)}",
            file=Path.cwd(),
            remedy="wait for it, or stop it; nothing needs to be unlocked afterwards",
        ) from None
    lock.truncate(0)
    json.dump(
        {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T"), "command": sys.argv}, lock
    )
    lock.flush()
    _held = lock


def _holder(lock: IO[str]) -> str:
    lock.seek(0)
    try:
        run = json.load(lock)
        return f"process {run['pid']} on {run['host']}, since {run['since']}: {' '.join(run['command'])}"
    except (ValueError, KeyError):
        return "it has only just started"

"""Heartbeat of a run for other machines: its main process counts up a number in a file of the shared folder.

A job on another machine cannot query that process. Clocks of two machines are never compared: the job checks whether
the number changes while its own clock goes on. A run that ends normally removes the file, and so does the next run,
with all records of earlier ones.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

NOTES = Path(".snakemake") / "attempts"
BEAT_INTERVAL_S: Final = 10.0
POLL_INTERVAL_S: Final = 5.0
SILENCE_LIMIT_S: Final = 300.0
"""A network drive may stall this long. An orphaned job runs on for no longer than that."""
MISSING_LIMIT_S: Final = 30.0
"""NFS may take this long to show an existing file (nfs(5): acdirmax is twice that, but opening asks the server)."""
FIRST_BEAT_WAIT_S: Final = 5.0

_stopped = threading.Event()


def start(run: str) -> None:
    """Start the heartbeat of the run with this id, in its main process, before it submits any job."""
    path = _path(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, 0)
    threading.Thread(target=_beat, args=(path,), name="heartbeat", daemon=True).start()
    atexit.register(stop, run)


def stop(run: str) -> None:
    """Stop the heartbeat and remove its file."""
    _stopped.set()
    with suppress(OSError):
        _path(run).unlink()


def is_beating(run: str) -> bool:
    """Whether the run with this id has a heartbeat file. Waits a moment for it to appear."""
    until_s = time.monotonic() + FIRST_BEAT_WAIT_S
    while not _path(run).exists():
        if time.monotonic() > until_s:
            return False
        time.sleep(FIRST_BEAT_WAIT_S / 10)
    return True


def watch(run: str, then: Callable[[], None]) -> None:
    """Call `then` once the heartbeat of the run with this id has ended or stalled, and return."""
    path = _path(run)
    last_number, changed_s, seen_s = "", time.monotonic(), time.monotonic()
    while True:
        now_s = time.monotonic()
        try:
            number = path.read_text(encoding="ascii")
            seen_s = now_s
            if number != last_number:
                last_number, changed_s = number, now_s
        except FileNotFoundError:
            if now_s - seen_s > MISSING_LIMIT_S:
                break
        except OSError:
            # A stalled drive proves nothing about the run.
            seen_s = now_s
        if now_s - changed_s > SILENCE_LIMIT_S:
            break
        time.sleep(POLL_INTERVAL_S)
    then()


def _beat(path: Path) -> None:
    number = 0
    while not _stopped.wait(BEAT_INTERVAL_S):
        number += 1
        # A full or absent drive: the next one may get through.
        with suppress(OSError):
            _write(path, number)


def _write(path: Path, number: int) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(str(number), encoding="ascii")
    partial.replace(path)


def _path(run: str) -> Path:
    return NOTES / run / "alive"

"""Nothing outlives its run: processes that end when Snakemake's main process is gone, however it went.

The run is found through the lock that `runlock` took at its start. A pidfd (pidfd_open(2), Linux) becomes readable the
moment its process ends, `kill -9` included, and cannot be fooled by a process number used again.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import runlock

LOG = logging.getLogger("tapemill.lifeline")


@dataclass(frozen=True)
class Run:
    """A run of the workflow on this machine."""

    pid: int
    """Of Snakemake's main process."""
    started_ticks: int
    """When this process started, in clock ticks since boot: tells it from a later one with the same number."""

    @property
    def id(self) -> str:
        """Name of the run, unique on this machine since it was started."""
        return f"{self.pid}-{self.started_ticks}"

    @property
    def alive(self) -> bool:
        """Whether the main process is still there."""
        return _started_ticks(self.pid) == self.started_ticks


def run_of(pid: int) -> Run | None:
    """The run whose main process is `pid`; None if there is no such process."""
    ticks = _started_ticks(pid)
    return None if ticks is None else Run(pid, ticks)


def current_run(folder: Path = Path(".snakemake")) -> Run | None:
    """The run this process is a job of: the holder of the folder's run lock, if it is one of our ancestors.

    None for a script started by hand, and on another machine than the one Snakemake runs on.
    """
    holder = runlock.holder(folder)
    if holder is None or holder["host"] != socket.gethostname() or holder["pid"] not in _ancestors():
        return None
    return run_of(holder["pid"])


def run_is_gone(folder: Path = Path(".snakemake")) -> bool:
    """Whether the folder's last run was on this machine and its main process is not there any more."""
    holder = runlock.holder(folder)
    return holder is not None and holder["host"] == socket.gethostname() and run_of(holder["pid"]) is None


def on_end(run: Run, then: Callable[[], None]) -> None:
    """Call `then` from a thread of its own once the run's main process is gone, at once if it is gone already."""
    threading.Thread(target=_watch, args=(run, then), name="lifeline", daemon=True).start()


def _watch(run: Run, then: Callable[[], None]) -> None:
    try:
        descriptor = os.pidfd_open(run.pid)
    except ProcessLookupError:
        then()
        return
    try:
        # Opened too late, it would watch whoever has the number now.
        if run.alive:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
    finally:
        os.close(descriptor)
    then()


def _ancestors() -> Iterator[int]:
    pid = os.getppid()
    while pid > 0:
        yield pid
        fields = _stat(pid)
        if fields is None:
            return
        pid = int(fields[1])


def _started_ticks(pid: int) -> int | None:
    fields = _stat(pid)
    # A zombie waits for its parent to notice; it does nothing any more.
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on (proc(5)): the second, the name, may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()

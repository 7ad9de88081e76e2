"""Nothing outlives its run: processes that end when Snakemake's main process is gone, however it went.

A run names itself in the environment, so that everything it starts knows it, also a process that begins to work only
after the run was killed and perhaps the next one was started. A pidfd (pidfd_open(2), Linux) becomes readable the
moment its process ends, `kill -9` included, and cannot be fooled by a process number used again.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOG = logging.getLogger("tapemill.lifeline")

VARIABLE = "TAPEMILL_RUN"
# Process numbers of another machine, or of another start of this one, mean nothing here.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


def own_run() -> Run:
    """The run whose main process this is."""
    run = run_of(os.getpid())
    assert run is not None
    return run


def begin_run() -> Run:
    """Make this process the main process of a run: whatever it starts from now on finds it with `current_run`."""
    run = own_run()
    os.environ[VARIABLE] = f"{_boot_id()} {run.id}"
    return run


def current_run() -> Run | None:
    """The run that this process is a job of, whether its main process is still there or not.

    None for a script started by hand, and on another machine than the one Snakemake runs on.
    """
    boot_id, _, run_id = os.environ.get(VARIABLE, "").partition(" ")
    pid, _, ticks = run_id.partition("-")
    if boot_id != _boot_id() or not (pid.isdecimal() and ticks.isdecimal()):
        return None
    return Run(int(pid), int(ticks))


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


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()


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

"""Nothing outlives its run: processes that end when Snakemake's main process is gone, however it went.

A run names itself in the environment, so that everything it starts knows it, also a process that begins to work only
after the run was killed and perhaps the next one was started. A pidfd (pidfd_open(2), Linux) becomes readable the
moment its process ends, `kill -9` included, and cannot be fooled by a process number used again.

On another machine, in a job of a cluster, the run's main process cannot be watched: there its heartbeat tells. But the
Snakemake process that was started there for the job can, and scripts and workers end with it (`supervisor`).
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import heartbeat

LOG = logging.getLogger("tapemill.process")

RUN_VARIABLE = "TAPEMILL_RUN"
SUPERVISOR_VARIABLE = "TAPEMILL_KEEPER"
# Process numbers of another machine, or of another start of this one, mean nothing here.
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class RunId:
    """A run of the workflow."""

    pid: int
    """Of Snakemake's main process."""
    started_ticks: int
    """When this process started, in clock ticks since boot: tells it from a later one with the same number."""
    is_here: bool = True
    """Whether that was on this machine, since it was started."""

    @property
    def id(self) -> str:
        """Name of the run, unique on its machine since that was started; also that of its notes."""
        return f"{self.pid}-{self.started_ticks}"

    @property
    def alive(self) -> bool:
        """Whether the main process is still there. One on another machine counts as there while it leaves signs."""
        return _started_ticks(self.pid) == self.started_ticks if self.is_here else heartbeat.is_beating(self.id)


def run_of(pid: int) -> RunId | None:
    """The run whose main process is `pid`; None if there is no such process."""
    ticks = _started_ticks(pid)
    return None if ticks is None else RunId(pid, ticks)


def own_run() -> RunId:
    """The run whose main process this is."""
    run = run_of(os.getpid())
    assert run is not None
    return run


def begin_run() -> RunId:
    """Make this process the main process of a run: whatever it starts from now on finds it with `current_run`."""
    run = own_run()
    os.environ[RUN_VARIABLE] = _to_text(run)
    # It may itself be started by a job of a cluster.
    os.environ.pop(SUPERVISOR_VARIABLE, None)
    return run


def current_run() -> RunId | None:
    """The run that this process is a job of, on whatever machine, and whether its main process is still there or not.

    None for a script started by hand.
    """
    return _from_environ(RUN_VARIABLE)


def set_supervisor() -> None:
    """Make this process, Snakemake's in a job of a cluster, the keeper of what it starts from now on."""
    os.environ[SUPERVISOR_VARIABLE] = _to_text(own_run())


def supervisor() -> RunId | None:
    """The process on this machine with which scripts and workers end, and that the workers of its jobs belong to.

    In a job of a cluster the Snakemake process started there, otherwise the run's main process. None in neither.
    """
    for kept in (_from_environ(SUPERVISOR_VARIABLE), current_run()):
        if kept is not None and kept.is_here:
            return kept
    return None


def has_supervisor() -> bool:
    """Whether this process belongs to a job of a cluster."""
    kept = _from_environ(SUPERVISOR_VARIABLE)
    return kept is not None and kept.is_here


def watch(run: RunId, then: Callable[[], None]) -> None:
    """Call `then` from a thread of its own once the run's main process is gone, at once if it is gone already.

    On another machine it takes minutes until the lack of a heartbeat tells.
    """
    target, run_or_id = (_watch, run) if run.is_here else (heartbeat.watch, run.id)
    threading.Thread(target=target, args=(run_or_id, then), name="lifeline", daemon=True).start()


def _watch(run: RunId, then: Callable[[], None]) -> None:
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


def _to_text(run: RunId) -> str:
    return f"{_boot_id()} {run.id}"


def _from_environ(variable: str) -> RunId | None:
    boot_id, _, run_id = os.environ.get(variable, "").partition(" ")
    pid, _, ticks = run_id.partition("-")
    if not (boot_id and pid.isdecimal() and ticks.isdecimal()):
        return None
    return RunId(int(pid), int(ticks), is_here=boot_id == _boot_id())


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

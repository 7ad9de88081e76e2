"""Liveness of a run: its processes end when Snakemake's main process is gone, for whatever reason.

A run puts its id into the environment, so that everything it starts knows it, even a process that starts work only
after the run was killed and perhaps the next one was started. A pidfd (pidfd_open(2), Linux) becomes readable the
moment its process ends, `kill -9` included, and cannot be fooled by a process number used again.

On another machine, in a job of a cluster, the run's main process cannot be watched: its heartbeat is
watched instead. Scripts and workers there end with the Snakemake process that was started for the job (`supervisor`).
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
    """Start of this process in clock ticks since boot: distinguishes it from a later one with the same number."""
    is_here: bool = True
    """Whether it belongs to this machine, since its last boot."""

    @property
    def id(self) -> str:
        """Name of the run, unique on its machine since boot; also the name of its folder of records."""
        return f"{self.pid}-{self.started_ticks}"

    @property
    def alive(self) -> bool:
        """Whether the main process still exists. On another machine: whether its heartbeat file exists."""
        return _started_ticks(self.pid) == self.started_ticks if self.is_here else heartbeat.is_beating(self.id)


def run_of(pid: int) -> RunId | None:
    """Return the run whose main process is `pid`; None if there is no such process."""
    ticks = _started_ticks(pid)
    return None if ticks is None else RunId(pid, ticks)


def own_run() -> RunId:
    """Return the run whose main process this is."""
    run = run_of(os.getpid())
    assert run is not None
    return run


def begin_run() -> RunId:
    """Make this process the main process of a run: whatever it starts from now on finds it with `current_run`."""
    run = own_run()
    os.environ[RUN_VARIABLE] = _to_text(run)
    # It may itself have been started by a cluster job.
    os.environ.pop(SUPERVISOR_VARIABLE, None)
    return run


def current_run() -> RunId | None:
    """Return the run that this process belongs to, on any machine, whether its main process still exists or not.

    None for a script started by hand.
    """
    return _from_environ(RUN_VARIABLE)


def set_supervisor() -> None:
    """Make this process, Snakemake's in a cluster job, the supervisor of everything it starts from now on."""
    os.environ[SUPERVISOR_VARIABLE] = _to_text(own_run())


def supervisor() -> RunId | None:
    """Return the process on this machine that scripts and workers end with.

    In a cluster job this is the Snakemake process started there, otherwise the run's main process. None in neither.
    """
    for process in (_from_environ(SUPERVISOR_VARIABLE), current_run()):
        if process is not None and process.is_here:
            return process
    return None


def has_supervisor() -> bool:
    """Whether this process belongs to a cluster job."""
    process = _from_environ(SUPERVISOR_VARIABLE)
    return process is not None and process.is_here


def watch(run: RunId, then: Callable[[], None]) -> None:
    """Call `then` from a new thread once the run's main process is gone, at once if it is gone already.

    On another machine a missing heartbeat is noticed only after minutes.
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
        # The number may belong to another process by now.
        if run.alive:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
    finally:
        os.close(descriptor)
    then()


def _to_text(run: RunId) -> str:
    return f"{boot_id()} {run.id}"


def _from_environ(variable: str) -> RunId | None:
    boot, _, run_id = os.environ.get(variable, "").partition(" ")
    pid, _, ticks = run_id.partition("-")
    if not (boot and pid.isdecimal() and ticks.isdecimal()):
        return None
    return RunId(int(pid), int(ticks), is_here=boot == boot_id())


def boot_id() -> str:
    """Return the id of this boot of this machine."""
    return BOOT_ID.read_text(encoding="ascii").strip()


def _started_ticks(pid: int) -> int | None:
    fields = _stat(pid)
    # A zombie only waits to be reaped.
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def _stat(pid: int) -> list[str] | None:
    """Read the fields of /proc/PID/stat from the third on (proc(5)); the second, the name, may contain spaces."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()

"""Lease of a GPU, so that two runs of one user never compute on it at the same time.

A lease is a `flock` on a file that names its holder. The kernel releases it when the holder ends. A process that waits
for a lease holds a shared lock on a second file, by which an idle worker notices that it should release the GPU.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tapemill.core.errors import LaneError
from tapemill.process.liveness import RunId
from tapemill.process.runtime_dirs import lease_folder, run_folder, runtime_folder

from .lane import Lane

LOG = logging.getLogger("tapemill.lanes")

PAUSE_S = 0.2


class Lease:
    """A held lease. It ends with `release`, with the block, or with the process."""

    def __init__(self, file: IO[str], tenant: str) -> None:
        self._file = file
        self._tenant = tenant
        self.update("nothing yet")

    def update(self, doing: str, limit_s: float | None = None) -> None:
        """Record what the holder does, for waiting processes. After `limit_s` it is considered hung."""
        facts = {"tenant": self._tenant, "pid": os.getpid(), "doing": doing, "since": time.time(), "limit_s": limit_s}
        self._file.seek(0)
        self._file.truncate()
        json.dump(facts, self._file)
        self._file.flush()

    def release(self) -> None:
        """Release the lease."""
        self._file.close()


@contextmanager
def leased(folder: Path, name: str, tenant: str, log: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the lease `name` during the block; `log` is called when it has to wait, and when it acquired the lease."""
    lease = acquire(folder, name, tenant, log)
    try:
        yield lease
    finally:
        lease.release()


def acquire(folder: Path, name: str, tenant: str, log: Callable[[str], None]) -> Lease:
    """Acquire a lease like `leased`, without a block."""
    file = (folder / f"{name}.lease").open("a+", encoding="utf-8")
    if not _lock(file, fcntl.LOCK_EX):
        started = time.monotonic()
        log(f"waiting for {name}: {holder(folder, name)}")
        with (folder / f"{name}.wanted").open("a") as wanted:
            fcntl.flock(wanted, fcntl.LOCK_SH)
            fcntl.flock(file, fcntl.LOCK_EX)
        log(f"got {name} after {time.monotonic() - started:.1f} s")
    return Lease(file, tenant)


def is_free(folder: Path, name: str) -> bool:
    """Whether nobody holds the lease now."""
    with (folder / f"{name}.lease").open("a+", encoding="utf-8") as file:
        return _lock(file, fcntl.LOCK_EX)


def is_wanted(folder: Path, name: str) -> bool:
    """Whether a process waits for the lease."""
    with (folder / f"{name}.wanted").open("a") as wanted:
        return not _lock(wanted, fcntl.LOCK_EX)


def facts(folder: Path, name: str) -> dict[str, object]:
    """Read the facts of the last holder: `tenant`, `pid`, `doing`, `since`, `limit_s`; empty if it wrote none yet."""
    try:
        return dict(json.loads((folder / f"{name}.lease").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def holder(folder: Path, name: str) -> str:
    """Describe the holder for a log."""
    found = facts(folder, name)
    if not found:
        return "somebody took it just now"
    since = time.strftime("%F %T", time.localtime(float(str(found["since"]))))
    return f"{found['tenant']} (process {found['pid']}) has it, {found['doing']} since {since}"


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def acquire_any(lane: Lane, run: RunId | None, numbers: Sequence[int]) -> Iterator[Lane]:
    """Yield `lane` with a number that no other job of the run has during the block.

    Jobs without a run share the slots of a common one. `numbers` are the existing GPUs; the CPU has any number of
    slots. Raises LaneError if there is no GPU.
    """
    folder = runtime_folder() if run is None else run_folder(run)
    if lane.kind != "cpu" and not numbers:
        raise LaneError(
            f"this machine has no {lane.kind} GPU",
            remedy="run on the CPU with `--profile profiles/cpu`, and set lanes: device to cpu or auto",
        )
    with ExitStack() as held:
        logged = False
        while True:
            for number in _free_first(lane, numbers):
                slot = held.enter_context((folder / f"{lane.kind}{number}.seat").open("a"))
                if _try_lock(slot.fileno()):
                    yield lane.numbered(number)
                    return
                slot.close()
            if not logged:
                LOG.info("waiting for a free %s GPU, all %d have a job of this run", lane.kind, len(numbers))
                logged = True
            time.sleep(PAUSE_S)


def _free_first(lane: Lane, numbers: Sequence[int]) -> Iterable[int]:
    """Order the GPUs: those that no other run uses come first."""
    if lane.kind == "cpu":
        return itertools.count()
    base = lease_folder()
    return sorted(numbers, key=lambda number: not is_free(base, lane.numbered(number).name))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

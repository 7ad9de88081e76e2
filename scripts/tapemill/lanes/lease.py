"""A lease of a card, so that two runs of one user never compute on it at the same time.

A lease is a `flock` on a file that says who holds it. The kernel ends it with its holder. Who waits for one holds a
shared lock on a second file, by which an idle worker notices that it is in the way.
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


class Lease:
    """A held lease. It ends with `release`, with the block, or with the process."""

    def __init__(self, file: IO[str], tenant: str) -> None:
        self._file = file
        self._tenant = tenant
        self.tell("nothing yet")

    def tell(self, doing: str, limit_s: float | None = None) -> None:
        """Write down what the holder does, for those who wait. After `limit_s` it would be taken to hang."""
        facts = {"tenant": self._tenant, "pid": os.getpid(), "doing": doing, "since": time.time(), "limit_s": limit_s}
        self._file.seek(0)
        self._file.truncate()
        json.dump(facts, self._file)
        self._file.flush()

    def release(self) -> None:
        """Give the lease back."""
        self._file.close()


@contextmanager
def leased(folder: Path, name: str, tenant: str, say: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the lease `name` during the block; `say` is told what is waited for, and when it was had."""
    lease = acquire(folder, name, tenant, say)
    try:
        yield lease
    finally:
        lease.release()


def acquire(folder: Path, name: str, tenant: str, say: Callable[[str], None]) -> Lease:
    """Like `leased`, without a block."""
    file = (folder / f"{name}.lease").open("a+", encoding="utf-8")
    if not _lock(file, fcntl.LOCK_EX):
        started = time.monotonic()
        say(f"waiting for {name}: {holder(folder, name)}")
        with (folder / f"{name}.wanted").open("a") as wish:
            fcntl.flock(wish, fcntl.LOCK_SH)
            fcntl.flock(file, fcntl.LOCK_EX)
        say(f"got {name} after {time.monotonic() - started:.1f} s")
    return Lease(file, tenant)


def is_free(folder: Path, name: str) -> bool:
    """Whether nobody holds the lease at this moment."""
    with (folder / f"{name}.lease").open("a+", encoding="utf-8") as file:
        return _lock(file, fcntl.LOCK_EX)


def is_wanted(folder: Path, name: str) -> bool:
    """Whether somebody waits for the lease."""
    with (folder / f"{name}.wanted").open("a") as wish:
        return not _lock(wish, fcntl.LOCK_EX)


def facts(folder: Path, name: str) -> dict[str, object]:
    """What the last holder said: `tenant`, `pid`, `doing`, `since`, `limit_s`; empty if it said nothing yet."""
    try:
        return dict(json.loads((folder / f"{name}.lease").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def holder(folder: Path, name: str) -> str:
    """The same as a phrase for a log."""
    said = facts(folder, name)
    if not said:
        return "somebody took it just now"
    since = time.strftime("%F %T", time.localtime(float(str(said["since"]))))
    return f"{said['tenant']} (process {said['pid']}) has it, {said['doing']} since {since}"


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


LOG = logging.getLogger("tapemill.lanes")

PAUSE_S = 0.2


@contextmanager
def acquire_any(lane: Lane, run: RunId | None, numbers: Sequence[int]) -> Iterator[Lane]:
    """Yield `lane` with a number that no other job of the run has during the block.

    Jobs of no run share the seats of one that never ends. `numbers` are the cards there are; a processor has as many
    seats as jobs come. Raises LaneError if there is no card.
    """
    folder = runtime_folder() if run is None else run_folder(run)
    if lane.kind != "cpu" and not numbers:
        raise LaneError(
            f"this machine has no {lane.kind} card",
            remedy="run on the CPU with `--profile profiles/cpu`, and set lanes: device to cpu or auto",
        )
    with ExitStack() as held:
        told = False
        while True:
            for number in _by_freedom(lane, numbers):
                seat = held.enter_context((folder / f"{lane.kind}{number}.seat").open("a"))
                if _try(seat.fileno()):
                    yield lane.numbered(number)
                    return
                seat.close()
            if not told:
                LOG.info("waiting for a free %s card, all %d have a job of this run", lane.kind, len(numbers))
                told = True
            time.sleep(PAUSE_S)


def _by_freedom(lane: Lane, numbers: Sequence[int]) -> Iterable[int]:
    """Cards that no other run computes on come first."""
    if lane.kind == "cpu":
        return itertools.count()
    base = lease_folder()
    return sorted(numbers, key=lambda number: not is_free(base, lane.numbered(number).name))


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

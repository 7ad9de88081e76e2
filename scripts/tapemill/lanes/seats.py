"""A free lane for a job that was given none: on a processor without lanes, or in a run without the scheduler `lanes`.

Seats concern the jobs of one run; between runs the lease of the card decides.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ..errors import LaneError
from ..lifeline import Run
from . import lease
from .lane import Lane
from .runtime import lease_folder, run_folder, runtime_folder

LOG = logging.getLogger("tapemill.lanes")

PAUSE_S = 0.2


@contextmanager
def seated(lane: Lane, run: Run | None, numbers: Sequence[int]) -> Iterator[Lane]:
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
    return sorted(numbers, key=lambda number: not lease.is_free(base, lane.numbered(number).name))


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

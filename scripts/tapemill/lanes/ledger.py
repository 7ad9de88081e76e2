"""What the scheduler remembers: which job it gave to which lane, when, and where jobs failed.

Snakemake tells a scheduler neither that a job ended nor how. It follows from what is ready again, what is finished and
how much of each lane is in use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from .assignment import JobRequest, LaneState


@dataclass
class _Given:
    wish: JobRequest
    lane: str
    since_s: float
    """When it was expected to begin: when it came, or when the job before it was seen to have ended."""


class Ledger:
    """Jobs at lanes. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._given: list[_Given] = []
        self._failed_at: defaultdict[str, set[str]] = defaultdict(set)

    def give(self, wish: JobRequest, lane: str, now_s: float) -> None:
        """Remember that a job starts at a lane, or waits there."""
        self._given.append(_Given(wish, lane, now_s))

    @property
    def keys(self) -> set[str]:
        """Keys of the jobs at lanes."""
        return {given.wish.key for given in self._given}

    def failed_at(self, key: str) -> frozenset[str]:
        """Lanes where a job failed."""
        return frozenset(self._failed_at.get(key, ()))

    def settle(
        self, *, used: Mapping[str, int], ready: Collection[str], finished: Callable[[str], bool], now_s: float
    ) -> None:
        """Forget the jobs that ended.

        `used`: how many jobs each lane holds by Snakemake's accounting. `ready`: keys of jobs that can start; one that
        was given to a lane before has failed there. `finished` tells whether the job of a key ended well.
        """
        gone = []
        for given in self._given:
            key = given.wish.key
            if finished(key):
                self._failed_at.pop(key, None)
                gone.append(given)
            elif key in ready:
                self._failed_at[key].add(given.lane)
                gone.append(given)
        self._forget(gone, now_s)
        # What failed for good shows in the accounting alone. Lanes run their jobs in order, so it was the oldest.
        for lane in {given.lane for given in self._given}:
            here = self._at(lane)
            self._forget(here[: max(0, len(here) - used.get(lane, 0))], now_s)

    def lanes(self, capacity: Mapping[str, int], used: Mapping[str, int], now_s: float) -> list[LaneState]:
        """All lanes with capacity as they stand, by their numbers."""
        found = (self._lane(name, most, used.get(name, 0), now_s) for name, most in capacity.items())
        return sorted(found, key=lambda lane: lane.number)

    def _lane(self, name: str, capacity: int, used: int, now_s: float) -> LaneState:
        here = self._at(name)
        remaining_s = sum(given.wish.expected_s for given in here[1:])
        if here:
            remaining_s += max(0.0, here[0].wish.expected_s - (now_s - here[0].since_s))
        jobs = tuple(given.wish for given in here)
        return LaneState(name, capacity - used, jobs, remaining_s, strangers=used - len(here))

    def _at(self, lane: str) -> list[_Given]:
        return [given for given in self._given if given.lane == lane]

    def _forget(self, gone: Sequence[_Given], now_s: float) -> None:
        """Take jobs off their lanes; whoever is first now begins now."""
        first = {given.lane: given for given in reversed(self._given)}
        self._given = [given for given in self._given if not any(given is one for one in gone)]
        for lane, before in first.items():
            after = self._at(lane)
            if after and after[0] is not before:
                after[0].since_s = now_s

"""Ledger of the scheduler: jobs assigned to lanes, since when, and where jobs failed.

Snakemake does not inform a scheduler about ended jobs. It is inferred from which jobs are ready again, which are
finished, and how much of each lane is in use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from .assignment import JobRequest, LaneState


@dataclass
class _AssignedJob:
    request: JobRequest
    lane: str
    since_s: float
    """Assumed start: when it was assigned, or when the job before it was seen to have ended."""


class Ledger:
    """Jobs at lanes. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._assigned: list[_AssignedJob] = []
        self._failed_at: defaultdict[str, set[str]] = defaultdict(set)

    def assign(self, request: JobRequest, lane: str, now_s: float) -> None:
        """Record that a job starts at a lane, or is queued there."""
        self._assigned.append(_AssignedJob(request, lane, now_s))

    @property
    def keys(self) -> set[str]:
        """Keys of the jobs at lanes."""
        return {job.request.key for job in self._assigned}

    def failed_at(self, key: str) -> frozenset[str]:
        """Return the lanes where a job failed."""
        return frozenset(self._failed_at.get(key, ()))

    def remove_ended(
        self, *, used: Mapping[str, int], ready: Collection[str], finished: Callable[[str], bool], now_s: float
    ) -> None:
        """Remove the jobs that ended.

        `used`: how many jobs each lane holds by Snakemake's accounting. `ready`: keys of jobs that can start; one that
        was assigned to a lane before has failed there. `finished`: whether the job of a key succeeded.
        """
        ended = []
        for job in self._assigned:
            key = job.request.key
            if finished(key):
                self._failed_at.pop(key, None)
                ended.append(job)
            elif key in ready:
                self._failed_at[key].add(job.lane)
                ended.append(job)
        self._remove(ended, now_s)
        # Jobs that failed finally show only in the accounting. Lanes run their jobs in order, so it was the oldest.
        for lane in {job.lane for job in self._assigned}:
            here = self._at(lane)
            self._remove(here[: max(0, len(here) - used.get(lane, 0))], now_s)

    def lanes(self, capacity: Mapping[str, int], used: Mapping[str, int], now_s: float) -> list[LaneState]:
        """Return the states of all lanes with capacity, by number."""
        found = (self._lane(name, most, used.get(name, 0), now_s) for name, most in capacity.items())
        return sorted(found, key=lambda lane: lane.number)

    def _lane(self, name: str, capacity: int, used: int, now_s: float) -> LaneState:
        here = self._at(name)
        remaining_s = sum(job.request.expected_s for job in here[1:])
        if here:
            remaining_s += max(0.0, here[0].request.expected_s - (now_s - here[0].since_s))
        jobs = tuple(job.request for job in here)
        return LaneState(name, capacity - used, jobs, remaining_s, strangers=used - len(here))

    def _at(self, lane: str) -> list[_AssignedJob]:
        return [job for job in self._assigned if job.lane == lane]

    def _remove(self, ended: Sequence[_AssignedJob], now_s: float) -> None:
        """Remove jobs from their lanes; a job that becomes the first one starts now."""
        first = {job.lane: job for job in reversed(self._assigned)}
        self._assigned = [job for job in self._assigned if not any(job is one for one in ended)]
        for lane, before in first.items():
            after = self._at(lane)
            if after and after[0] is not before:
                after[0].since_s = now_s

"""Assignment of ready jobs to lanes, independent of Snakemake.

A lane is a GPU that the profile declares as a global resource (`gpu0: 2`). It holds one running job and, if its
capacity is more than one, queued jobs: the warm worker starts them at once, which hides the time that Snakemake needs
from the end of one job to the start of the next. Three steps, each in the order of `JobRequest.order`:

1. Lanes without any job get one, but not a job that failed there before.
2. Lanes whose jobs are short get one more in their queue.
3. Lanes that would still be idle get a job even if it failed there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

# Resources by which rules, scheduler and job scripts exchange lanes.
GPU: Final = "gpu"
EXPECTED_S: Final = "expected_s"
MAX_LANES: Final = "max_lanes"
LANE_DEVICE: Final = "lane_device"
LANE_WARM: Final = "lane_warm"
CORES: Final = "_cores"

SHORT_S: Final = 30.0
"""A job is queued at a lane only if the jobs before it are expected to take less than this in total. Queuing hides
0.3 s of Snakemake's time; behind a long job that gains nothing, and another lane may become free earlier."""


@dataclass(frozen=True)
class JobRequest:
    """A ready job that requests a GPU."""

    key: str
    """Its output files, which stay the same when Snakemake recreates its job objects."""
    rule: str
    priority: int
    expected_s: float
    needs: Mapping[str, int]
    """All global resources it needs beside the lane."""
    input_bytes: int = 0
    """Size of its input files: orders short jobs whose expected times are the same number of seconds."""
    max_lanes: int = 0
    """How many lanes may hold jobs of its rule at once; 0 for any number."""
    lane: str | None = None
    """Lane required by the rule itself or by `--set-resources`."""
    failed_at: frozenset[str] = frozenset()
    """Lanes where earlier attempts failed."""

    @property
    def order(self) -> tuple[float, float, int, str]:
        """Sort key: highest priority first, then longest first (so that no long job remains at the end), then name."""
        return -self.priority, -self.expected_s, -self.input_bytes, self.key


@dataclass(frozen=True)
class LaneState:
    """Current state of a lane."""

    name: str
    free: int
    """How many more jobs it accepts."""
    jobs: tuple[JobRequest, ...] = ()
    """Jobs assigned to it, in order: the first is running."""
    remaining_s: float = 0.0
    """Expected time until all of them are done."""
    strangers: int = 0
    """Jobs that hold it without being assigned here; nothing is known about them."""

    @property
    def is_idle(self) -> bool:
        """Whether a job assigned now would run at once."""
        return self.free > 0 and not self.jobs and not self.strangers

    @property
    def accepts_queued(self) -> bool:
        """Whether one more job may be queued here."""
        expected_s = sum(job.expected_s for job in self.jobs)
        return self.free > 0 and bool(self.jobs) and not self.strangers and expected_s < SHORT_S

    @property
    def number(self) -> int:
        """Number of the GPU."""
        return int(self.name.removeprefix(GPU))


@dataclass(frozen=True)
class Assignment:
    """Result: jobs with their lanes, and the resources left for jobs without a GPU."""

    placed: tuple[tuple[JobRequest, str], ...]
    left: Mapping[str, int]


def assign(
    requests: Sequence[JobRequest],
    lanes: Iterable[LaneState],
    *,
    free: Mapping[str, int],
    total: Mapping[str, int],
    others: Sequence[Mapping[str, int]] = (),
) -> Assignment:
    """Assign lanes to jobs, as far as lanes and all other resources allow.

    `free` and `total` are the global resources, lanes among them; `others` are the needs of ready jobs without a GPU.
    """
    table = _Table({lane.name: lane for lane in lanes}, dict(free), total)
    table.spare_cores = _spare_cores(table, others)
    waiting = sorted(requests, key=lambda request: request.order)
    for step in (table.to_idle_lane, table.to_queue, table.to_any_idle_lane):
        waiting = [request for request in waiting if not step(request, waiting)]
    return Assignment(tuple(table.placed), table.left_for_others(waiting))


@dataclass
class _Table:
    """Lanes and resources while jobs are assigned one by one."""

    lanes: dict[str, LaneState]
    free: dict[str, int]
    total: Mapping[str, int]
    spare_cores: int = 0
    """Cores that a job must leave free if it would only be queued."""
    placed: list[tuple[JobRequest, str]] = field(default_factory=list)

    def to_idle_lane(self, request: JobRequest, waiting: Sequence[JobRequest]) -> bool:
        """Assign to an idle lane, first to those where other waiting jobs failed before."""
        idle = [lane for lane in self._open_to(request) if lane.is_idle and lane.name not in request.failed_at]
        if len(idle) > 1:
            avoided = [name for other in waiting for name in other.failed_at]
            idle.sort(key=lambda lane: (-avoided.count(lane.name), lane.number))
        return self._place(request, idle)

    def to_queue(self, request: JobRequest, _: Sequence[JobRequest]) -> bool:
        """Queue at the lane with the least remaining time, without taking the last cores from other jobs."""
        if self.free.get(CORES, 0) - request.needs.get(CORES, 0) < self.spare_cores:
            return False
        short = [lane for lane in self._open_to(request) if lane.accepts_queued and lane.name not in request.failed_at]
        return self._place(request, sorted(short, key=lambda lane: (lane.remaining_s, lane.number)))

    def to_any_idle_lane(self, request: JobRequest, _: Sequence[JobRequest]) -> bool:
        """Assign to any idle lane, even if the job failed there before."""
        return self._place(request, [lane for lane in self._open_to(request) if lane.is_idle])

    def left_for_others(self, waiting: Sequence[JobRequest]) -> dict[str, int]:
        """Return the resources for jobs without a GPU: all that are free.

        But if a job cannot start at its idle lane only because such jobs hold its resources, these are reserved for it
        as they are released. Otherwise many small jobs would block a big one until the last of them has started.
        """
        for_others = {name: self.total[name] - self.held(name) for name in self.total}
        for request in waiting:
            if any(lane.is_idle for lane in self._open_to(request)) and _fits(request.needs, for_others):
                return {name: max(0, amount - request.needs.get(name, 0)) for name, amount in self.free.items()}
        return self.free

    def held(self, resource: str) -> int:
        """Return how much of a resource the jobs at all lanes hold."""
        return sum(job.needs.get(resource, 0) for lane in self.lanes.values() for job in lane.jobs)

    def _open_to(self, request: JobRequest) -> list[LaneState]:
        """Return the lanes that the job's rule and its limit of lanes allow."""
        if request.lane is not None:
            return [self.lanes[request.lane]] if request.lane in self.lanes else []
        holders = [name for name, lane in self.lanes.items() if any(job.rule == request.rule for job in lane.jobs)]
        if 0 < request.max_lanes <= len(holders):
            return [self.lanes[name] for name in holders]
        return list(self.lanes.values())

    def _place(self, request: JobRequest, candidates: Sequence[LaneState]) -> bool:
        if not candidates or not _fits(request.needs, self.free):
            return False
        lane = candidates[0]
        self.lanes[lane.name] = replace(
            lane, free=lane.free - 1, jobs=(*lane.jobs, request), remaining_s=lane.remaining_s + request.expected_s
        )
        for name, amount in {**request.needs, lane.name: 1}.items():
            if name in self.free:
                self.free[name] -= amount
        self.placed.append((request, lane.name))
        return True


def _fits(needs: Mapping[str, int], available: Mapping[str, int]) -> bool:
    return all(amount <= available[name] for name, amount in needs.items() if name in available)


def _spare_cores(table: _Table, others: Sequence[Mapping[str, int]]) -> int:
    """Return the cores of the smallest other job, if one is ready and none is running."""
    in_use = table.total.get(CORES, 0) - table.free.get(CORES, 0)
    if not others or in_use > table.held(CORES):
        return 0
    return min(needs.get(CORES, 0) for needs in others)

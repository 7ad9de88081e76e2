"""Simulation of a run: start and end of each job on its lanes and cores, in the order of the scheduler `lanes`.

Coarse on purpose. It respects the limits of lanes and cores, the order of jobs, their dependencies, and the time that
Snakemake needs from job to job.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tapemill.core.rule_catalog import CHECKPOINTS
from tapemill.lanes.assignment import SHORT_S
from tapemill.workflow.benchmarks import JobKey

from .tasks import Task

JOB_GAP_S: Final = 0.3
"""From the end of a job to the start of the next (docs/lanes.md, "Assignment")."""
WARM_LANE_GAP_S: Final = 0.02
"""The same if the next job waits at a warm lane (docs/figures.md, "How busy the scheduler keeps two lanes")."""
START_S: Final = 3.0
PLANNING_S: Final = 0.005
"""Time of Snakemake before the first job, and more for each job of the plan (`make bench-resume`, 1,000 scenes)."""
REPLANNING_S: Final = 1.0
"""Time of Snakemake to plan again after a checkpoint."""

CORES: Final = "cores"


@dataclass(frozen=True)
class TimedTask:
    """A task with its expected time."""

    task: Task
    seconds: float
    requests_gpu: bool
    threads: int = 1

    @property
    def order(self) -> tuple[int, float, JobKey]:
        """Sort key: by priority, then the longest first."""
        return -self.task.info.priority, -self.seconds, self.task.key


@dataclass(frozen=True)
class SimulationResult:
    """Times of a simulated run, in seconds from its start."""

    ends_s: Mapping[JobKey, float]
    busy_s: Mapping[str, float]
    """Work of each lane; under `cores` the sum of all cores."""

    @property
    def total_s(self) -> float:
        """Time until the last job is done."""
        return max(self.ends_s.values(), default=0.0)


def simulate(timed: Sequence[TimedTask], *, cores: int, lanes: Mapping[str, int], cut_ahead: int) -> SimulationResult:
    """Simulate the run of all tasks. `lanes` are GPUs with the number of jobs each holds; without, cores do all."""
    simulator = _Simulator(timed, cores, lanes, cut_ahead)
    simulator.run()
    return SimulationResult(simulator.ends_s, dict(simulator.busy_s))


@dataclass
class _Simulator:
    """State of the simulated run at one moment."""

    timed: Sequence[TimedTask]
    cores: int
    lanes: Mapping[str, int]
    cut_ahead: int
    ends_s: dict[JobKey, float] = field(default_factory=dict)
    busy_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        self.now_s = START_S + PLANNING_S * len(self.timed)
        self.free_cores = self.cores
        self.free_lanes = list(self.lanes)
        self.cuts = self.started = 0
        self.running: list[tuple[float, int, TimedTask, str]] = []
        self.gpu_queue: list[tuple[tuple[int, float, JobKey], TimedTask]] = []
        self.core_queue: list[tuple[tuple[int, float, JobKey], TimedTask]] = []
        self.held_cuts: list[tuple[tuple[int, float, JobKey], TimedTask]] = []
        self.followers: defaultdict[JobKey, list[TimedTask]] = defaultdict(list)
        there = {each.task.key for each in self.timed}
        self.missing: dict[JobKey, int] = {}
        for each in self.timed:
            after = [key for key in each.task.after if key in there]
            self.missing[each.task.key] = len(after)
            for key in after:
                self.followers[key].append(each)
            if not after:
                self._ready(each)

    def run(self) -> None:
        """Start jobs that can start, then end the next one, until none runs."""
        self._start()
        while self.running:
            end_s, _, done, place = heapq.heappop(self.running)
            self.now_s = max(self.now_s, end_s)
            self._end(done, place)
            self._start()

    def _ready(self, each: TimedTask) -> None:
        queue = self.gpu_queue if each.requests_gpu and self.lanes else self.core_queue
        heapq.heappush(queue, (each.order, each))

    def _start(self) -> None:
        """Start jobs of lanes first, then others with the remaining cores."""
        while self.free_lanes and self.gpu_queue and self._fits(self.gpu_queue[0][1]):
            self._run(heapq.heappop(self.gpu_queue)[1], self.free_lanes.pop(0))
        while self.core_queue and self._fits(self.core_queue[0][1]):
            entry = heapq.heappop(self.core_queue)
            if entry[1].task.rule == "cut_scene" and self.cuts >= self.cut_ahead:
                self.held_cuts.append(entry)
                continue
            self._run(entry[1], CORES)
        if self.held_cuts and not self.running:
            # No running job will use the waiting cuts: like the scheduler, stop holding cuts back.
            self._run(self.held_cuts.pop(0)[1], CORES)

    def _fits(self, each: TimedTask) -> bool:
        return min(each.threads, self.cores) <= self.free_cores

    def _run(self, each: TimedTask, place: str) -> None:
        self.free_cores -= min(each.threads, self.cores)
        self.busy_s[place] += each.seconds
        if each.task.rule == "cut_scene":
            self.cuts += 1
        if each.task.rule == "enhance_scene":
            self.cuts = max(0, self.cuts - 1)
            for entry in self.held_cuts:
                heapq.heappush(self.core_queue, entry)
            self.held_cuts.clear()
        waited = place != CORES and self.lanes[place] > 1 and each.seconds < SHORT_S
        turn_s = WARM_LANE_GAP_S if waited else JOB_GAP_S
        self.started += 1
        heapq.heappush(self.running, (self.now_s + turn_s + each.seconds, self.started, each, place))

    def _end(self, each: TimedTask, place: str) -> None:
        key = each.task.key
        self.ends_s[key] = self.now_s
        self.free_cores += min(each.threads, self.cores)
        if place != CORES:
            self.free_lanes.append(place)
            self.free_lanes.sort(key=list(self.lanes).index)
        if each.task.rule in CHECKPOINTS:
            self.now_s += REPLANNING_S
        for follower in self.followers[key]:
            self.missing[follower.task.key] -= 1
            if not self.missing[follower.task.key]:
                self._ready(follower)

"""When what would run where: the jobs of a run on its lanes and cores, as the scheduler `lanes` hands them out.

Coarse on purpose. What counts is that no more runs at once than can, that the longest goes first, that a tape's last
steps wait for its scenes, and what Snakemake itself needs from job to job.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tapemill.core.rule_catalog import CHECKPOINTS
from tapemill.lanes.assignment import SHORT_S

from .snakemake_jobs import Key
from .tasks import Task

TURN_S: Final = 0.3
"""From the end of a job to the start of the next (docs/lanes.md, "Assignment")."""
WAITING_TURN_S: Final = 0.02
"""The same where the next job waits at a warm lane; README, "How busy the scheduler keeps two lanes"."""
START_S: Final = 3.0
PLANNING_S: Final = 0.005
"""What Snakemake takes before the first job, and more for each job of the plan (`make bench-resume`, 1,000 scenes)."""
REPLANNING_S: Final = 1.0
"""After a checkpoint it plans anew what follows."""

CORES: Final = "cores"


@dataclass(frozen=True)
class Timed:
    """A task with the seconds it takes."""

    task: Task
    seconds: float
    wants_card: bool
    threads: int = 1

    @property
    def order(self) -> tuple[int, float, Key]:
        """Sorts: most urgent first, then longest first."""
        return -self.task.info.priority, -self.seconds, self.task.key


@dataclass(frozen=True)
class Outcome:
    """How it went. Times are seconds from the start of the run."""

    ends_s: Mapping[Key, float]
    busy_s: Mapping[str, float]
    """How long each lane worked; under `cores` the sum of all cores."""

    @property
    def total_s(self) -> float:
        """Until the last job is done."""
        return max(self.ends_s.values(), default=0.0)


def simulate(timed: Sequence[Timed], *, cores: int, lanes: Mapping[str, int], cut_ahead: int) -> Outcome:
    """Run all tasks in thought. `lanes` are the cards with the number of jobs each takes; without, cores do all."""
    board = _Board(timed, cores, lanes, cut_ahead)
    board.run()
    return Outcome(board.ends_s, dict(board.busy_s))


@dataclass
class _Board:
    """The run at one moment."""

    timed: Sequence[Timed]
    cores: int
    lanes: Mapping[str, int]
    cut_ahead: int
    ends_s: dict[Key, float] = field(default_factory=dict)
    busy_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        self.now_s = START_S + PLANNING_S * len(self.timed)
        self.free_cores = self.cores
        self.free_lanes = list(self.lanes)
        self.cuts = self.started = 0
        self.running: list[tuple[float, int, Timed, str]] = []
        self.for_cards: list[tuple[tuple[int, float, Key], Timed]] = []
        self.for_cores: list[tuple[tuple[int, float, Key], Timed]] = []
        self.held: list[tuple[tuple[int, float, Key], Timed]] = []
        self.followers: defaultdict[Key, list[Timed]] = defaultdict(list)
        there = {each.task.key for each in self.timed}
        self.missing: dict[Key, int] = {}
        for each in self.timed:
            after = [key for key in each.task.after if key in there]
            self.missing[each.task.key] = len(after)
            for key in after:
                self.followers[key].append(each)
            if not after:
                self._ready(each)

    def run(self) -> None:
        """Start what can start, then let the next job end, until nothing runs."""
        self._start()
        while self.running:
            end_s, _, done, place = heapq.heappop(self.running)
            self.now_s = max(self.now_s, end_s)
            self._end(done, place)
            self._start()

    def _ready(self, each: Timed) -> None:
        queue = self.for_cards if each.wants_card and self.lanes else self.for_cores
        heapq.heappush(queue, (each.order, each))

    def _start(self) -> None:
        """Lanes first, the other jobs with the cores that are left."""
        while self.free_lanes and self.for_cards and self._fits(self.for_cards[0][1]):
            self._run(heapq.heappop(self.for_cards)[1], self.free_lanes.pop(0))
        while self.for_cores and self._fits(self.for_cores[0][1]):
            entry = heapq.heappop(self.for_cores)
            if entry[1].task.rule == "cut_scene" and self.cuts >= self.cut_ahead:
                self.held.append(entry)
                continue
            self._run(entry[1], CORES)
        if self.held and not self.running:
            # What waits is for nobody; so does the scheduler give up.
            self._run(self.held.pop(0)[1], CORES)

    def _fits(self, each: Timed) -> bool:
        return min(each.threads, self.cores) <= self.free_cores

    def _run(self, each: Timed, place: str) -> None:
        self.free_cores -= min(each.threads, self.cores)
        self.busy_s[place] += each.seconds
        if each.task.rule == "cut_scene":
            self.cuts += 1
        if each.task.rule == "enhance_scene":
            self.cuts = max(0, self.cuts - 1)
            for entry in self.held:
                heapq.heappush(self.for_cores, entry)
            self.held.clear()
        waited = place != CORES and self.lanes[place] > 1 and each.seconds < SHORT_S
        turn_s = WAITING_TURN_S if waited else TURN_S
        self.started += 1
        heapq.heappush(self.running, (self.now_s + turn_s + each.seconds, self.started, each, place))

    def _end(self, each: Timed, place: str) -> None:
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

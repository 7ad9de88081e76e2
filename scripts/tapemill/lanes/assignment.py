"""Which ready job goes to which lane: decided here, without Snakemake, from what is ready and what is free.

A lane is a card that the profile declares as a global resource (`gpu0: 2`). It holds one job that runs and, if its
capacity is more than one, jobs that wait at the card: the warm worker takes them at once, which hides the time that
Snakemake needs from the end of one job to the start of the next. Three steps, each in the order of `Wish.order`:

1. Lanes without any job get one, but not a job that failed there before.
2. Lanes whose jobs are short get one more to wait.
3. Lanes that would still be idle get a job even if it failed there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

# Resources by which rules, scheduler and job scripts tell each other of lanes.
GPU: Final = "gpu"
EXPECTED_S: Final = "expected_s"
MAX_LANES: Final = "max_lanes"
LANE_DEVICE: Final = "lane_device"
LANE_WARM: Final = "lane_warm"
CORES: Final = "_cores"

SHORT_S: Final = 30.0
"""A job waits at a lane only if those before it are expected to take less than this, all in all. Waiting hides 0.3 s of
Snakemake's time; behind a long job that is nothing, and to be bound to a busy lane while another falls free is much."""


@dataclass(frozen=True)
class Wish:
    """A ready job that asks for a card."""

    key: str
    """Its output files: they stay the same when Snakemake makes its job objects anew."""
    rule: str
    priority: int
    expected_s: float
    needs: Mapping[str, int]
    """All global resources it takes beside the lane."""
    input_bytes: int = 0
    """Size of its input files: tells short jobs apart, for which expected times are the same number of seconds."""
    max_lanes: int = 0
    """How many lanes may hold jobs of its rule at once; 0 for any number."""
    lane: str | None = None
    """The lane that the rule itself, or `--set-resources`, binds it to."""
    failed_at: frozenset[str] = frozenset()
    """Lanes where earlier attempts failed."""

    @property
    def order(self) -> tuple[float, float, int, str]:
        """Sorts: most urgent first, then longest first (so that no long job is left for the end), then by name."""
        return -self.priority, -self.expected_s, -self.input_bytes, self.key


@dataclass(frozen=True)
class Lane:
    """A card as it stands now."""

    name: str
    free: int
    """How many more jobs it takes."""
    jobs: tuple[Wish, ...] = ()
    """Jobs that were given to it, in order: the first runs."""
    remaining_s: float = 0.0
    """Expected time until all of them are done."""
    strangers: int = 0
    """Jobs that hold it without having been given to it here; nothing is known of them."""

    @property
    def is_idle(self) -> bool:
        """Whether a job that comes now runs at once."""
        return self.free > 0 and not self.jobs and not self.strangers

    @property
    def lets_wait(self) -> bool:
        """Whether one more job may wait here."""
        expected_s = sum(job.expected_s for job in self.jobs)
        return self.free > 0 and bool(self.jobs) and not self.strangers and expected_s < SHORT_S

    @property
    def number(self) -> int:
        """Number of the card."""
        return int(self.name.removeprefix(GPU))


@dataclass(frozen=True)
class Assignment:
    """The outcome: jobs with their lanes, and what is left for jobs that need no card."""

    placed: tuple[tuple[Wish, str], ...]
    left: Mapping[str, int]


def assign(
    wishes: Sequence[Wish],
    lanes: Iterable[Lane],
    *,
    free: Mapping[str, int],
    total: Mapping[str, int],
    others: Sequence[Mapping[str, int]] = (),
) -> Assignment:
    """Give lanes to jobs, as far as lanes and all other resources allow.

    `free` and `total` are the global resources, lanes among them; `others` is what each ready job without a card needs.
    """
    table = _Table({lane.name: lane for lane in lanes}, dict(free), total)
    table.spare_cores = _spare_cores(table, others)
    waiting = sorted(wishes, key=lambda wish: wish.order)
    for step in (table.to_idle_lane, table.to_wait, table.to_any_idle_lane):
        waiting = [wish for wish in waiting if not step(wish, waiting)]
    return Assignment(tuple(table.placed), table.left_for_others(waiting))


@dataclass
class _Table:
    """Lanes and resources while jobs are placed one by one."""

    lanes: dict[str, Lane]
    free: dict[str, int]
    total: Mapping[str, int]
    spare_cores: int = 0
    """Cores that a job must leave free if it would only wait."""
    placed: list[tuple[Wish, str]] = field(default_factory=list)

    def to_idle_lane(self, wish: Wish, waiting: Sequence[Wish]) -> bool:
        """Of the idle lanes, take first what others of the waiting jobs had better avoid."""
        idle = [lane for lane in self._open_to(wish) if lane.is_idle and lane.name not in wish.failed_at]
        if len(idle) > 1:
            shunned = [name for other in waiting for name in other.failed_at]
            idle.sort(key=lambda lane: (-shunned.count(lane.name), lane.number))
        return self._place(wish, idle)

    def to_wait(self, wish: Wish, _: Sequence[Wish]) -> bool:
        """Wait where it takes least, without taking the last cores from the other jobs."""
        if self.free.get(CORES, 0) - wish.needs.get(CORES, 0) < self.spare_cores:
            return False
        short = [lane for lane in self._open_to(wish) if lane.lets_wait and lane.name not in wish.failed_at]
        return self._place(wish, sorted(short, key=lambda lane: (lane.remaining_s, lane.number)))

    def to_any_idle_lane(self, wish: Wish, _: Sequence[Wish]) -> bool:
        """Rather where it failed before than nowhere."""
        return self._place(wish, [lane for lane in self._open_to(wish) if lane.is_idle])

    def left_for_others(self, waiting: Sequence[Wish]) -> dict[str, int]:
        """What jobs without a card may take: all that is free.

        But if a job does not fit to its idle lane only because such jobs hold what it needs, what they give back is
        kept for it. Otherwise many small ones would keep a big one from its card until the last of them has begun.
        """
        for_others = {name: self.total[name] - self.held(name) for name in self.total}
        for wish in waiting:
            if any(lane.is_idle for lane in self._open_to(wish)) and _fits(wish.needs, for_others):
                return {name: max(0, amount - wish.needs.get(name, 0)) for name, amount in self.free.items()}
        return self.free

    def held(self, resource: str) -> int:
        """How much of a resource the jobs at all lanes hold."""
        return sum(job.needs.get(resource, 0) for lane in self.lanes.values() for job in lane.jobs)

    def _open_to(self, wish: Wish) -> list[Lane]:
        """Lanes that the job may go to, as far as its rule is concerned."""
        if wish.lane is not None:
            return [self.lanes[wish.lane]] if wish.lane in self.lanes else []
        holders = [name for name, lane in self.lanes.items() if any(job.rule == wish.rule for job in lane.jobs)]
        if 0 < wish.max_lanes <= len(holders):
            return [self.lanes[name] for name in holders]
        return list(self.lanes.values())

    def _place(self, wish: Wish, candidates: Sequence[Lane]) -> bool:
        if not candidates or not _fits(wish.needs, self.free):
            return False
        lane = candidates[0]
        self.lanes[lane.name] = replace(
            lane, free=lane.free - 1, jobs=(*lane.jobs, wish), remaining_s=lane.remaining_s + wish.expected_s
        )
        for name, amount in {**wish.needs, lane.name: 1}.items():
            if name in self.free:
                self.free[name] -= amount
        self.placed.append((wish, lane.name))
        return True


def _fits(needs: Mapping[str, int], available: Mapping[str, int]) -> bool:
    return all(amount <= available[name] for name, amount in needs.items() if name in available)


def _spare_cores(table: _Table, others: Sequence[Mapping[str, int]]) -> int:
    """Enough for the smallest of the other jobs, if one is ready and none of them is running."""
    in_use = table.total.get(CORES, 0) - table.free.get(CORES, 0)
    if not others or in_use > table.held(CORES):
        return 0
    return min(needs.get(CORES, 0) for needs in others)

"""How long a run will still take, by what its own jobs took so far; nothing where that says nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean

from tapemill.core.rule_catalog import CHECKPOINTS, stage_of
from tapemill.core.timing import merge_intervals

from .attempts import Attempt
from .run_state import Count, RunState, key_of

# A job that takes so many times longer than others of its rule is not like them.
OVERDUE = 2


@dataclass(frozen=True)
class Pace:
    """How a stage goes."""

    frames_per_s: float | None
    """Of all its jobs together, while any of them ran; None without frames."""
    left_s: float | None
    """What its jobs will take, as many at a time as so far; None if nobody knows."""


@dataclass(frozen=True)
class Forecast:
    """What is to be expected."""

    left_s: float | None
    """Until the run ends; None if nobody knows."""
    unmeasured: tuple[str, ...] = ()
    """Rules of which nobody knows what they take, for instance as none of their jobs was done yet: it is not part of
    `left_s`."""
    undivided: tuple[str, ...] = ()
    """Tapes whose number of jobs is not known yet."""
    stages: Mapping[str, Pace] = field(default_factory=dict)
    tapes: Mapping[str, float | None] = field(default_factory=dict)
    """Seconds that what is left of each tape would take alone."""


@dataclass
class _Work:
    """Seconds of work that are left, as far as they are known."""

    seconds: float = 0.0
    unmeasured: set[str] = field(default_factory=set)
    undivided: set[str] = field(default_factory=set)

    def known(self, at_a_time: float | None) -> float | None:
        """How long that takes; None if nobody knows."""
        if self.unmeasured or self.undivided or at_a_time is None:
            return 0.0 if not (self.seconds or self.unmeasured or self.undivided) else None
        return self.seconds / at_a_time


def forecast(course: RunState, now: datetime) -> Forecast:
    """What is to be expected at this moment."""
    tried = [attempt for attempt in course.history.attempts if not attempt.waits]
    mean_s = _mean_s(tried)
    running: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in course.history.latest:
        if attempt.outcome == "running":
            running[key_of(attempt.tape, attempt.rule)].append(attempt)
    whole = _Work()
    by_stage: dict[str, _Work] = defaultdict(_Work)
    by_tape: dict[str, _Work] = defaultdict(_Work)
    for (tape, rule), count in course.counts().items():
        for work in (whole, by_stage[stage_of(rule)], by_tape[tape]):
            _add(work, tape, rule, count, running[tape, rule], mean_s, now)
    at_a_time = _at_a_time(tried, now)
    stages = {}
    for stage, work in by_stage.items():
        own = [attempt for attempt in tried if stage_of(attempt.rule) == stage]
        stages[stage] = Pace(_frames_per_s(own, now), work.known(_at_a_time(own, now)))
    return Forecast(
        left_s=None if whole.undivided or at_a_time is None else _least_s(whole, at_a_time, stages.values()),
        unmeasured=tuple(sorted(whole.unmeasured)),
        undivided=tuple(sorted(whole.undivided)),
        stages=stages,
        tapes={tape: work.known(at_a_time) for tape, work in by_tape.items()},
    )


def remaining_s(attempt: Attempt, mean_s: float | None, now: datetime) -> float | None:
    """What a running attempt will still take: by its own progress, else by what others of its rule took."""
    if "remaining_s" in attempt.facts:
        since: datetime = attempt.facts.get("heard", attempt.started)
        return max(0.0, float(attempt.facts["remaining_s"]) - (now - since).total_seconds())
    taken_s = 0.0 if attempt.waits else (now - attempt.began).total_seconds()
    if mean_s is None or taken_s > OVERDUE * mean_s:
        return None
    return max(0.0, mean_s - taken_s)


def _mean_s(tried: Iterable[Attempt]) -> dict[str, float]:
    """What jobs took that are done, by rule."""
    taken = defaultdict(list)
    for attempt in tried:
        if attempt.outcome == "done" and "seconds" in attempt.facts:
            taken[attempt.rule].append(float(attempt.facts["seconds"]))
    return {rule: fmean(seconds) for rule, seconds in taken.items()}


def _add(
    work: _Work,
    tape: str,
    rule: str,
    count: Count,
    running: Iterable[Attempt],
    mean_s: Mapping[str, float],
    now: datetime,
) -> None:
    """Add what is left of the jobs of a rule for a tape."""
    if rule in CHECKPOINTS and count.running + count.to_do:
        work.undivided.add(tape)
    lasts = [remaining_s(attempt, mean_s.get(rule), now) for attempt in running]
    if (count.to_do and rule not in mean_s) or None in lasts:
        work.unmeasured.add(rule)
    work.seconds += count.to_do * mean_s.get(rule, 0.0) + sum(last for last in lasts if last is not None)


def _least_s(whole: _Work, at_a_time: float, stages: Iterable[Pace]) -> float:
    """The run cannot end before its slowest stage."""
    return max([whole.seconds / at_a_time, *(pace.left_s or 0.0 for pace in stages)])


def _at_a_time(tried: Iterable[Attempt], now: datetime) -> float | None:
    """How many of these worked at a time, while any did; None if none has worked yet."""
    spans = [(attempt.began, attempt.ended or now) for attempt in tried]
    busy_s = sum((stop - start).total_seconds() for start, stop in spans)
    active_s = _active_s(spans)
    return max(1.0, busy_s / active_s) if active_s > 0 else None


def _active_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """How long at least one of them lasted."""
    return sum((stop - start).total_seconds() for start, stop in merge_intervals(spans))


def _frames_per_s(tried: Iterable[Attempt], now: datetime) -> float | None:
    counted = [attempt for attempt in tried if "frames" in attempt.facts]
    frames = sum(int(attempt.facts["frames"]) for attempt in counted)
    active_s = _active_s((attempt.began, attempt.ended or now) for attempt in counted)
    return frames / active_s if frames and active_s > 0 else None

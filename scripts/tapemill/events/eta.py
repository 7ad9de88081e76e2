"""Time left of a run: by the times of its own jobs, and for rules without a finished job by the cost model.

Expected times of the cost model are in the events of the plan (`expected_s`), fitted to earlier runs of this machine.
The run's own times are the newest measurements, and replace them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean

from tapemill.core.rule_catalog import CHECKPOINTS, stage_of
from tapemill.core.timing import merge_intervals

from .attempts import Attempt
from .run_state import JobCounts, RunState, tape_and_rule

# A job that takes so many times longer than the mean of its rule is no measure of its own remaining time.
OVERDUE_FACTOR = 2


@dataclass(frozen=True)
class StageRate:
    """Rate of a stage."""

    frames_per_s: float | None
    """Of all its jobs together, over the time in which any of them ran; None without frames."""
    left_s: float | None
    """Time left for its jobs, with as many at a time as so far; None if unknown."""


@dataclass(frozen=True)
class Eta:
    """Time left for a run, its stages and tapes."""

    left_s: float | None
    """Until the run ends; None if unknown."""
    rules_without_speed: tuple[str, ...] = ()
    """Rules whose jobs have no known time: their work is not part of `left_s`."""
    tapes_without_plan: tuple[str, ...] = ()
    """Tapes whose number of jobs is unknown until a checkpoint is done."""
    stages: Mapping[str, StageRate] = field(default_factory=dict)
    tapes: Mapping[str, float | None] = field(default_factory=dict)
    """Seconds left for each tape if it had all lanes and cores; None if unknown."""


@dataclass
class _OpenWork:
    """Seconds of work left, as far as they are known."""

    seconds: float = 0.0
    rules_without_speed: set[str] = field(default_factory=set)
    tapes_without_plan: set[str] = field(default_factory=set)

    def known(self, at_a_time: float | None) -> float | None:
        """Time it takes with so many jobs at a time; None if unknown."""
        if self.rules_without_speed or self.tapes_without_plan or at_a_time is None:
            return 0.0 if not (self.seconds or self.rules_without_speed or self.tapes_without_plan) else None
        return self.seconds / at_a_time


def estimate_eta(run: RunState, now: datetime) -> Eta:
    """Estimate the time left at this moment."""
    attempts = [attempt for attempt in run.history.attempts if not attempt.is_waiting]
    mean_s = _mean_s(attempts)
    running: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in run.history.latest:
        if attempt.outcome == "running":
            running[tape_and_rule(attempt.tape, attempt.rule)].append(attempt)
    total = _OpenWork()
    by_stage: dict[str, _OpenWork] = defaultdict(_OpenWork)
    by_tape: dict[str, _OpenWork] = defaultdict(_OpenWork)
    for (tape, rule), count in run.counts().items():
        job_s = mean_s.get(rule, run.expected_job_s(tape, rule))
        for work in (total, by_stage[stage_of(rule)], by_tape[tape]):
            _add(work, tape, rule, count, running[tape, rule], job_s, now)
    at_a_time = _concurrency(attempts, now)
    stages = {}
    for stage, work in by_stage.items():
        own = [attempt for attempt in attempts if stage_of(attempt.rule) == stage]
        stages[stage] = StageRate(_frames_per_s(own, now), work.known(_concurrency(own, now)))
    return Eta(
        left_s=None
        if total.tapes_without_plan or at_a_time is None
        else _lower_bound_s(total, at_a_time, stages.values()),
        rules_without_speed=tuple(sorted(total.rules_without_speed)),
        tapes_without_plan=tuple(sorted(total.tapes_without_plan)),
        stages=stages,
        tapes={tape: work.known(at_a_time) for tape, work in by_tape.items()},
    )


def remaining_s(attempt: Attempt, mean_s: float | None, now: datetime) -> float | None:
    """Time left of a running attempt: by its own progress, else by the time `mean_s` of a job of its rule."""
    if "remaining_s" in attempt.facts:
        since: datetime = attempt.facts.get("last_event_at", attempt.started)
        return max(0.0, float(attempt.facts["remaining_s"]) - (now - since).total_seconds())
    taken_s = 0.0 if attempt.is_waiting else (now - attempt.work_started_at).total_seconds()
    if mean_s is None or taken_s > OVERDUE_FACTOR * mean_s:
        return None
    return max(0.0, mean_s - taken_s)


def _mean_s(attempts: Iterable[Attempt]) -> dict[str, float]:
    """Mean time of finished jobs, by rule."""
    taken = defaultdict(list)
    for attempt in attempts:
        if attempt.outcome == "done" and "seconds" in attempt.facts:
            taken[attempt.rule].append(float(attempt.facts["seconds"]))
    return {rule: fmean(seconds) for rule, seconds in taken.items()}


def _add(
    work: _OpenWork,
    tape: str,
    rule: str,
    count: JobCounts,
    running: Iterable[Attempt],
    job_s: float | None,
    now: datetime,
) -> None:
    """Add the work left of the jobs of a rule for a tape. `job_s` is the time of one job; None if unknown."""
    if rule in CHECKPOINTS and count.running + count.to_do:
        work.tapes_without_plan.add(tape)
    remaining = [remaining_s(attempt, job_s, now) for attempt in running]
    if (count.to_do and job_s is None) or None in remaining:
        work.rules_without_speed.add(rule)
    work.seconds += count.to_do * (job_s or 0.0) + sum(each for each in remaining if each is not None)


def _lower_bound_s(total: _OpenWork, at_a_time: float, stages: Iterable[StageRate]) -> float:
    """Lower bound of the time left: the run cannot end before its slowest stage."""
    return max([total.seconds / at_a_time, *(rate.left_s or 0.0 for rate in stages)])


def _concurrency(attempts: Iterable[Attempt], now: datetime) -> float | None:
    """Mean number of these at work at a time, while any was; None if none has worked yet."""
    spans = [(attempt.work_started_at, attempt.ended or now) for attempt in attempts]
    busy_s = sum((stop - start).total_seconds() for start, stop in spans)
    active_s = _active_s(spans)
    return max(1.0, busy_s / active_s) if active_s > 0 else None


def _active_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Time in which at least one of them lasted."""
    return sum((stop - start).total_seconds() for start, stop in merge_intervals(spans))


def _frames_per_s(attempts: Iterable[Attempt], now: datetime) -> float | None:
    counted = [attempt for attempt in attempts if "frames" in attempt.facts]
    frames = sum(int(attempt.facts["frames"]) for attempt in counted)
    active_s = _active_s((attempt.work_started_at, attempt.ended or now) for attempt in counted)
    return frames / active_s if frames and active_s > 0 else None

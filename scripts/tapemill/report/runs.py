"""Runs from their events: jobs on lanes over time, idle time of lanes, failures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tapemill.core.rule_catalog import OTHER, STAGES, stage_of
from tapemill.core.timing import merge_intervals
from tapemill.events.attempts import Attempt

from .tape_history import FAILED, NOTICES, Deviation, FailedAttempt, failed_attempt, newest_attempts, seconds_of

# Rows of jobs without a lane, below those of the lanes, in this order.
WITHOUT_LANE: Final = (*STAGES, OTHER)


@dataclass(frozen=True)
class TimelineBar:
    """An attempt in a row of the timeline."""

    start_s: float
    """Since the run's first job began."""
    stop_s: float
    stage: str
    has_failed: bool
    slot: int = 0
    """Index among the jobs of the row at the same time, which are drawn one above the other."""


@dataclass(frozen=True)
class TimelineRow:
    """Row of the timeline: a lane, or a stage with jobs that need no lane."""

    name: str
    bars: tuple[TimelineBar, ...]
    is_lane: bool
    device: str = ""
    """Name of the lane's GPU, if the jobs reported it."""
    idle_share: float | None = None
    """Of a lane: share of the time without a job, between the first and the last job of any lane."""

    @property
    def slots(self) -> int:
        """Largest number of jobs at the same time."""
        return 1 + max((bar.slot for bar in self.bars), default=0)

    @property
    def busy_s(self) -> float:
        """Time with at least one job."""
        return sum(stop - start for start, stop in merge_intervals((bar.start_s, bar.stop_s) for bar in self.bars))


@dataclass(frozen=True)
class RunView:
    """Run as shown on the page."""

    name: str
    started: datetime
    length_s: float
    """From the start of its first job to the end of its last job."""
    rows: tuple[TimelineRow, ...]
    failed_attempts: tuple[tuple[str, FailedAttempt], ...] = ()
    """Tape and failed attempt."""
    deviations: tuple[tuple[str, Deviation], ...] = ()
    """Tape and deviation."""
    stages: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Of each stage the number of finished jobs and their total seconds."""

    @property
    def done(self) -> int:
        """Number of finished jobs."""
        return sum(jobs for jobs, _ in self.stages.values())


def run_views(runs: Mapping[str, Sequence[Attempt]], tapes: Mapping[str, Collection[str] | None]) -> list[RunView]:
    """Runs whose jobs made the current results of some tapes or failed to (`newest_attempts`), the earliest first."""
    names = {run for run, _ in newest_attempts(runs, tapes, ("done", *FAILED)).values()}
    return [run_view(run, attempts) for run, attempts in runs.items() if run in names]


def run_view(run: str, attempts: Sequence[Attempt]) -> RunView:
    """View of one run. Attempts that are still running, this rendering among them, are omitted."""
    ended = [attempt for attempt in attempts if attempt.ended is not None and attempt.outcome != "not started"]
    start = min((attempt.started for attempt in ended), default=attempts[0].started)
    stop = max((attempt.ended for attempt in ended if attempt.ended), default=start)
    stages: dict[str, tuple[int, float]] = {}
    for attempt in ended:
        if attempt.outcome == "done":
            stage = stage_of(attempt.rule)
            jobs, seconds = stages.get(stage, (0, 0.0))
            stages[stage] = jobs + 1, seconds + seconds_of(attempt)
    return RunView(
        name=run,
        started=start,
        length_s=(stop - start).total_seconds(),
        rows=tuple(_rows(ended, start)),
        failed_attempts=tuple((each.tape, failed_attempt(each)) for each in ended if each.outcome in FAILED),
        deviations=tuple(_deviations(attempts)),
        stages={stage: stages[stage] for stage in WITHOUT_LANE if stage in stages},
    )


def _deviations(attempts: Iterable[Attempt]) -> Iterator[tuple[str, Deviation]]:
    """One deviation per scene and kind, from the scene's own job if it is in this run, in the order of the tape."""
    found: dict[tuple[str, str, str], Deviation] = {}
    done = [attempt for attempt in attempts if attempt.outcome == "done"]
    for attempt in sorted(done, key=lambda each: any(notice.get("scene") for notice in _notices(each))):
        for notice in _notices(attempt):
            scene = str(notice.get("scene") or attempt.scene)
            kind = str(notice["kind"])
            found.setdefault((attempt.tape, scene, kind), Deviation(scene, kind, str(notice["reason"])))
    yield from ((tape, found[tape, scene, kind]) for tape, scene, kind in sorted(found))


def _notices(attempt: Attempt) -> list[Mapping[str, Any]]:
    return [notice for notice in attempt.facts.get("notices", ()) if notice.get("kind") in NOTICES]


def _rows(attempts: Sequence[Attempt], start: datetime) -> Iterator[TimelineRow]:
    """Rows of the lanes in order, then of the stages with jobs without a lane."""
    by_row: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_row.setdefault(_lane(attempt) or stage_of(attempt.rule), []).append(attempt)
    lanes = sorted({_lane(attempt) for attempt in attempts} - {""})
    in_lanes = [bar for lane in lanes for bar in _one_at_a_time(by_row[lane], start)]
    window_s = max((bar.stop_s for bar in in_lanes), default=0.0) - min((bar.start_s for bar in in_lanes), default=0.0)
    for lane in lanes:
        row = TimelineRow(lane, tuple(_one_at_a_time(by_row[lane], start)), is_lane=True, device=_device(by_row[lane]))
        yield TimelineRow(
            row.name, row.bars, True, row.device, max(0.0, 1 - row.busy_s / window_s) if window_s else 0.0
        )
    for stage in WITHOUT_LANE:
        if stage in by_row:
            yield TimelineRow(stage, tuple(_side_by_side(by_row[stage], start)), is_lane=False)


def _lane(attempt: Attempt) -> str:
    """Lane of a job; empty without one, and on a CPU that is not divided into lanes."""
    lane = str(attempt.facts.get("lane") or "")
    return lane if lane[-1:].isdigit() else ""


def _one_at_a_time(attempts: Iterable[Attempt], start: datetime) -> Iterator[TimelineBar]:
    """Bars of a lane. A job that waits for the job before it on the lane begins when that has ended."""
    free_s = 0.0
    for attempt in sorted(attempts, key=lambda each: each.ended or each.started):
        bar = _bar(attempt, start)
        yield TimelineBar(max(bar.start_s, min(free_s, bar.stop_s)), bar.stop_s, bar.stage, bar.has_failed)
        free_s = max(free_s, bar.stop_s)


def _side_by_side(attempts: Iterable[Attempt], start: datetime) -> Iterator[TimelineBar]:
    """Bars of jobs without a lane, each in the first slot that is free."""
    free_s: list[float] = []
    for attempt in sorted(attempts, key=lambda each: each.started):
        bar = _bar(attempt, start)
        slot = next((index for index, until_s in enumerate(free_s) if until_s <= bar.start_s), len(free_s))
        free_s[slot : slot + 1] = [bar.stop_s]
        yield TimelineBar(bar.start_s, bar.stop_s, bar.stage, bar.has_failed, slot)


def _bar(attempt: Attempt, start: datetime) -> TimelineBar:
    stop_s = ((attempt.ended or attempt.started) - start).total_seconds()
    start_s = min(stop_s, max(0.0, (attempt.work_started_at - start).total_seconds()))
    return TimelineBar(start_s, stop_s, stage_of(attempt.rule), attempt.outcome in FAILED)


def _device(attempts: Iterable[Attempt]) -> str:
    return next((str(each.facts["device"]) for each in attempts if each.facts.get("device")), "")

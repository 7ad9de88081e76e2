"""Runs as their events tell them: what worked on which lane when, how idle lanes were, what went wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tapemill.core.rule_catalog import OTHER, STAGES, stage_of
from tapemill.core.timing import merge_intervals
from tapemill.events.attempts import Attempt

from .tape_history import FAILED, NOTICES, Deviation, FailedAttempt, failed_attempt, newest, seconds_of

# Stages of jobs without a lane have their rows below those of the lanes, in this order.
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
    """Jobs of one row at the same time are one above the other."""


@dataclass(frozen=True)
class TimelineRow:
    """A lane, or a stage of jobs that need none."""

    name: str
    bars: tuple[TimelineBar, ...]
    is_lane: bool
    device: str = ""
    """Name of the lane's card, if the jobs told."""
    idle_share: float | None = None
    """Of a lane: part of the time, from the first job of any lane to the last one's end, in which it had none."""

    @property
    def slots(self) -> int:
        """Most jobs at the same time."""
        return 1 + max((bar.slot for bar in self.bars), default=0)

    @property
    def busy_s(self) -> float:
        """Time with at least one job."""
        return sum(stop - start for start, stop in merge_intervals((bar.start_s, bar.stop_s) for bar in self.bars))


@dataclass(frozen=True)
class RunView:
    """A run, as a page shows it."""

    name: str
    started: datetime
    length_s: float
    """From the beginning of its first job to the end of its last one."""
    rows: tuple[TimelineRow, ...]
    troubles: tuple[tuple[str, FailedAttempt], ...] = ()
    """Tape, and the attempt that failed."""
    notices: tuple[tuple[str, Deviation], ...] = ()
    """Tape, and the scene that came out otherwise."""
    stages: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """Of each stage the jobs done and the seconds they took together."""

    @property
    def done(self) -> int:
        """Jobs that were done."""
        return sum(jobs for jobs, _ in self.stages.values())


def run_views(runs: Mapping[str, Sequence[Attempt]], tapes: Mapping[str, Collection[str] | None]) -> list[RunView]:
    """The runs that decided what is there now of some tapes (as for `newest`), and what not; the first one first."""
    names = {run for run, _ in newest(runs, tapes, ("done", *FAILED)).values()}
    return [run_view(run, attempts) for run, attempts in runs.items() if run in names]


def run_view(run: str, attempts: Sequence[Attempt]) -> RunView:
    """One run. Attempts that still run, the drawing itself among them, are left out."""
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
        troubles=tuple((each.tape, failed_attempt(each)) for each in ended if each.outcome in FAILED),
        notices=tuple(_notices(attempts)),
        stages={stage: stages[stage] for stage in WITHOUT_LANE if stage in stages},
    )


def _notices(attempts: Iterable[Attempt]) -> Iterator[tuple[str, Deviation]]:
    """Each scene once for each kind, by the job that did it if that was in this run, and in the order of the tape."""
    found: dict[tuple[str, str, str], Deviation] = {}
    done = [attempt for attempt in attempts if attempt.outcome == "done"]
    for attempt in sorted(done, key=lambda each: any(notice.get("scene") for notice in _told(each))):
        for notice in _told(attempt):
            scene = str(notice.get("scene") or attempt.scene)
            kind = str(notice["kind"])
            found.setdefault((attempt.tape, scene, kind), Deviation(scene, kind, str(notice["reason"])))
    yield from ((tape, found[tape, scene, kind]) for tape, scene, kind in sorted(found))


def _told(attempt: Attempt) -> list[Mapping[str, Any]]:
    return [notice for notice in attempt.facts.get("notices", ()) if notice.get("kind") in NOTICES]


def _rows(attempts: Sequence[Attempt], start: datetime) -> Iterator[TimelineRow]:
    """Lanes in their order, then the stages of what ran without one."""
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
    """The lane of a job; empty for one without, and for one on a processor that nobody divided into lanes."""
    lane = str(attempt.facts.get("lane") or "")
    return lane if lane[-1:].isdigit() else ""


def _one_at_a_time(attempts: Iterable[Attempt], start: datetime) -> Iterator[TimelineBar]:
    """Bars of a lane. A job that waits at a lane for the one before it begins when that has ended."""
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
        slot = next((place for place, until_s in enumerate(free_s) if until_s <= bar.start_s), len(free_s))
        free_s[slot : slot + 1] = [bar.stop_s]
        yield TimelineBar(bar.start_s, bar.stop_s, bar.stage, bar.has_failed, slot)


def _bar(attempt: Attempt, start: datetime) -> TimelineBar:
    stop_s = ((attempt.ended or attempt.started) - start).total_seconds()
    start_s = min(stop_s, max(0.0, (attempt.began - start).total_seconds()))
    return TimelineBar(start_s, stop_s, stage_of(attempt.rule), attempt.outcome in FAILED)


def _device(attempts: Iterable[Attempt]) -> str:
    return next((str(each.facts["device"]) for each in attempts if each.facts.get("device")), "")

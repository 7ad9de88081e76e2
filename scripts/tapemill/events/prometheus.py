"""A run in numbers, for Prometheus: `events/metrics.prom`, written whole at intervals during a run and at its end.

The file is for the textfile collector of node_exporter, which reads it from a folder it is told of. Numbers are those
of the latest run alone: its name is the label of `tapemill_run_info`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from tapemill import events
from tapemill.core.rule_catalog import stage_of

from .attempts import Attempt
from .run_state import RunState, State

if TYPE_CHECKING:
    from prometheus_client.core import Metric

FILE = events.FOLDER / "metrics.prom"
RULE = ("stage", "rule")

Values = Mapping[tuple[str, ...], float]
"""By the labels' values."""


def text(course: RunState) -> str:
    """All metrics of a run in Prometheus' text format."""
    # Not at the top: whoever parses the Snakefile need not wait for it.
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(cast(Any, _Collector(course)))
    return generate_latest(registry).decode()


def write(course: RunState, file: Path = FILE) -> None:
    """Write the file, whole or not at all: whoever collects it may come at any moment. Raises OSError."""
    file.parent.mkdir(exist_ok=True)
    # Collectors take every *.prom they find.
    partial = file.with_suffix(".partial")
    partial.write_text(text(course), encoding="utf-8")
    partial.replace(file)


class _Collector:
    """What prometheus_client asks for metrics."""

    def __init__(self, course: RunState) -> None:
        self._course = course

    def collect(self) -> Iterator[Metric]:
        """Called by the registry, also when this is registered."""
        yield from _of_run(self._course)
        yield from _of_jobs(self._course)
        yield from _of_attempts(self._course.history.attempts)
        yield from _of_lanes(self._course)


def _of_run(course: RunState) -> Iterator[Metric]:
    yield _gauge("run_info", "Always 1. The run that all other metrics are about.", ("run",), {(course.run,): 1})
    yield _gauge(
        "run_state",
        "1 for what was known of the run when this was written: active, ended, broken off (by an error of Snakemake's"
        " own), killed, or elsewhere (another machine).",
        ("state",),
        {(state,): int(course.state == state) for state in get_args(State)},
    )
    if course.ended is not None:
        done: Values = {(): int(bool(course.ended.facts.get("is_ok")))}
        yield _gauge("run_success", "1 if all that was asked for is there, 0 if not.", (), done)
    if course.started is not None:
        started: Values = {(): course.started.time.timestamp()}
        yield _gauge("run_start_timestamp_seconds", "When the run began, in Unix time.", (), started)
    if course.last_event_at is not None:
        heard: Values = {(): course.last_event_at.timestamp()}
        yield _gauge("run_last_event_timestamp_seconds", "When anything happened last, in Unix time.", (), heard)


def _of_jobs(course: RunState) -> Iterator[Metric]:
    jobs: dict[tuple[str, ...], float] = {}
    for (tape, rule), count in sorted(course.counts().items()):
        for state in ("done", "running", "failed", "to_do"):
            jobs[(stage_of(rule), rule, tape, state)] = getattr(count, state)
    labels = (*RULE, "tape", "state")
    yield _gauge("jobs", "Jobs by what became of them so far; together those that are planned.", labels, jobs)
    facts = course.facts()
    yield _counter("jobs_tried_again", "Jobs that were done, but not at once.", (), {(): facts.tried_again})
    lost: Values = {(): facts.attempts_lost}
    yield _counter("attempts_lost", "Attempts of jobs that were done in the end, beside the last.", (), lost)
    downgraded: Values = {(): facts.lowered}
    yield _counter("jobs_downgraded", "Jobs done with less memory than they should have.", (), downgraded)
    yield _gauge("jobs_failed", "Jobs that failed for good.", (), {(): len(facts.failed)})
    yield _gauge("jobs_interrupted", "Jobs that were stopped in the middle.", (), {(): facts.interrupted})
    yield _gauge("jobs_not_started", "Jobs left alone since the run was about to end.", (), {(): facts.not_started})
    yield _gauge(
        "scenes_replaced",
        "Scenes that are in their tape in another way than they should be: kept (only deinterlaced), stands_in (other "
        "pictures in the place of damaged ones), empty (no subtitles).",
        ("kind", "tape"),
        Counter((each.kind, each.tape) for each in facts.replaced),
    )


def _of_attempts(attempts: Sequence[Attempt]) -> Iterator[Metric]:
    ended = [attempt for attempt in attempts if attempt.outcome != "running"]
    outcomes = Counter((*_rule(attempt), attempt.outcome.replace(" ", "_")) for attempt in ended)
    yield _counter("attempts", "Attempts of jobs that ended, by how.", (*RULE, "outcome"), outcomes)
    again = Counter(_rule(attempt) for attempt in attempts if attempt.number > 1)
    yield _counter("retries", "Attempts of jobs beside their first.", RULE, again)
    seconds, frames = _sum(ended, _rule, "seconds"), _sum(ended, _rule, "frames")
    yield _counter("work_seconds", "What attempts took, without waiting for a lane or after a failure.", RULE, seconds)
    yield _counter("frames", "Frames that jobs made, or whose sound they listened to.", RULE, frames)


def _of_lanes(course: RunState) -> Iterator[Metric]:
    ended = [attempt for attempt in course.history.attempts if attempt.outcome != "running" and "lane" in attempt.facts]

    def labels(attempt: Attempt) -> tuple[str, ...]:
        return (str(attempt.facts["lane"]), attempt.rule)

    lane = ("lane", "rule")
    yield _counter("lane_work_seconds", "What attempts took at each lane.", lane, _sum(ended, labels, "seconds"))
    yield _counter("lane_frames", "Frames of jobs at each lane.", lane, _sum(ended, labels, "frames"))
    busy: dict[tuple[str, ...], float] = {(str(each["name"]),): 0 for each in course.lanes}
    for attempt in course.history.latest:
        if attempt.outcome == "running" and "lane" in attempt.facts:
            name = (str(attempt.facts["lane"]),)
            busy[name] = busy.get(name, 0) + 1
    yield _gauge("lane_busy", "Jobs that are at work at each lane now.", ("lane",), busy)
    peaks: dict[tuple[str, ...], float] = {}
    for attempt in ended:
        name = (str(attempt.facts["lane"]),)
        peaks[name] = max(peaks.get(name, 0), float(attempt.facts.get("peak_memory_bytes", 0)))
    yield _gauge("lane_peak_memory_bytes", "The most memory that a job took at each lane.", ("lane",), peaks)
    starts: Values = {(name,): number for name, number in course.workers_started.items()}
    yield _counter("lane_worker_starts", "Workers started at each lane.", ("lane",), starts)


def _rule(attempt: Attempt) -> tuple[str, ...]:
    return (stage_of(attempt.rule), attempt.rule)


def _sum(attempts: Iterable[Attempt], labels: Any, fact: str) -> dict[tuple[str, ...], float]:
    """A fact of the attempts that told it, summed up by labels."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for attempt in attempts:
        if fact in attempt.facts:
            found[labels(attempt)] += float(attempt.facts[fact])
    return found


def _gauge(name: str, what: str, labels: Sequence[str], values: Values) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"tapemill_{name}", what, labels=labels), values)


def _counter(name: str, what: str, labels: Sequence[str], values: Values) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"tapemill_{name}", what, labels=labels), values)


def _filled(family: Any, values: Values) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    metric: Metric = family
    return metric

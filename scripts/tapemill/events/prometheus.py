"""Metrics of a run for Prometheus: `events/metrics.prom`, written at intervals during a run and at its end.

The file is for the textfile collector of node_exporter. Numbers are those of the latest run alone: its name is the
label of `tapemill_run_info`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from tapemill import events
from tapemill.core.rule_catalog import stage_of

from .attempts import Attempt
from .run_state import RunState, RunStatus

if TYPE_CHECKING:
    from prometheus_client.core import Metric

METRICS_FILE = events.FOLDER / "metrics.prom"
RULE_LABELS = ("stage", "rule")

Values = Mapping[tuple[str, ...], float]
"""By the labels' values."""


def format_metrics(run: RunState) -> str:
    """All metrics of a run in Prometheus' text format."""
    # Imported here, because parsing the Snakefile does not need it.
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(cast(Any, _Collector(run)))
    return generate_latest(registry).decode()


def write_metrics(run: RunState, file: Path = METRICS_FILE) -> None:
    """Write the file atomically, because a collector may read it at any moment. Raises OSError."""
    file.parent.mkdir(exist_ok=True)
    # Collectors read every *.prom they find.
    partial = file.with_suffix(".partial")
    partial.write_text(format_metrics(run), encoding="utf-8")
    partial.replace(file)


class _Collector:
    """Collector for prometheus_client."""

    def __init__(self, run: RunState) -> None:
        self._run = run

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics. The registry also calls this on registration."""
        yield from _run_metrics(self._run)
        yield from _job_metrics(self._run)
        yield from _attempt_metrics(self._run.history.attempts)
        yield from _lane_metrics(self._run)


def _run_metrics(run: RunState) -> Iterator[Metric]:
    yield _gauge("run_info", "Always 1. The run that all other metrics are about.", ("run",), {(run.name,): 1})
    yield _gauge(
        "run_state",
        "1 for what was known of the run when this was written: active, ended, broken off (by an error of Snakemake's"
        " own), killed, or elsewhere (another machine).",
        ("state",),
        {(state,): int(run.state == state) for state in get_args(RunStatus)},
    )
    if run.ended is not None:
        done: Values = {(): int(bool(run.ended.facts.get("is_ok")))}
        yield _gauge("run_success", "1 if all requested files exist, 0 if not.", (), done)
    if run.started is not None:
        started: Values = {(): run.started.time.timestamp()}
        yield _gauge("run_start_timestamp_seconds", "When the run began, in Unix time.", (), started)
    if run.last_event_at is not None:
        last_event_at: Values = {(): run.last_event_at.timestamp()}
        yield _gauge(
            "run_last_event_timestamp_seconds", "When anything happened last, in Unix time.", (), last_event_at
        )


def _job_metrics(run: RunState) -> Iterator[Metric]:
    jobs: dict[tuple[str, ...], float] = {}
    for (tape, rule), count in sorted(run.counts().items()):
        for state in ("done", "running", "failed", "to_do"):
            jobs[(stage_of(rule), rule, tape, state)] = getattr(count, state)
    labels = (*RULE_LABELS, "tape", "state")
    yield _gauge("jobs", "Planned jobs by their state.", labels, jobs)
    facts = run.outcome()
    yield _counter("jobs_tried_again", "Jobs that were done after a retry.", (), {(): facts.tried_again})
    lost: Values = {(): facts.attempts_lost}
    yield _counter("attempts_lost", "Failed attempts of jobs that were done in the end.", (), lost)
    downgraded: Values = {(): facts.lowered}
    yield _counter("jobs_downgraded", "Jobs downgraded for lack of memory.", (), downgraded)
    yield _gauge("jobs_failed", "Jobs that failed for good.", (), {(): len(facts.failed)})
    yield _gauge("jobs_interrupted", "Jobs that were stopped in the middle.", (), {(): facts.interrupted})
    yield _gauge("jobs_not_started", "Jobs not started because the run was ending.", (), {(): facts.not_started})
    yield _gauge(
        "scenes_replaced",
        "Scenes that are not in their tape as requested: kept (only deinterlaced), stands_in (other frames in place of "
        "damaged ones), empty (no subtitles).",
        ("kind", "tape"),
        Counter((each.kind, each.tape) for each in facts.replaced),
    )


def _attempt_metrics(attempts: Sequence[Attempt]) -> Iterator[Metric]:
    ended = [attempt for attempt in attempts if attempt.outcome != "running"]
    outcomes = Counter((*_rule_labels(attempt), attempt.outcome.replace(" ", "_")) for attempt in ended)
    yield _counter("attempts", "Attempts of jobs that ended, by how.", (*RULE_LABELS, "outcome"), outcomes)
    again = Counter(_rule_labels(attempt) for attempt in attempts if attempt.number > 1)
    yield _counter("retries", "Attempts of jobs after their first.", RULE_LABELS, again)
    seconds, frames = _sum_fact(ended, _rule_labels, "seconds"), _sum_fact(ended, _rule_labels, "frames")
    yield _counter(
        "work_seconds", "What attempts took, without waiting for a lane or after a failure.", RULE_LABELS, seconds
    )
    yield _counter("frames", "Frames that jobs made, or whose audio they processed.", RULE_LABELS, frames)


def _lane_metrics(run: RunState) -> Iterator[Metric]:
    ended = [attempt for attempt in run.history.attempts if attempt.outcome != "running" and "lane" in attempt.facts]

    def labels(attempt: Attempt) -> tuple[str, ...]:
        return (str(attempt.facts["lane"]), attempt.rule)

    lane = ("lane", "rule")
    yield _counter("lane_work_seconds", "What attempts took at each lane.", lane, _sum_fact(ended, labels, "seconds"))
    yield _counter("lane_frames", "Frames of jobs at each lane.", lane, _sum_fact(ended, labels, "frames"))
    busy: dict[tuple[str, ...], float] = {(str(each["name"]),): 0 for each in run.lanes}
    for attempt in run.history.latest:
        if attempt.outcome == "running" and "lane" in attempt.facts:
            name = (str(attempt.facts["lane"]),)
            busy[name] = busy.get(name, 0) + 1
    yield _gauge("lane_busy", "Jobs that are at work at each lane now.", ("lane",), busy)
    peaks: dict[tuple[str, ...], float] = {}
    for attempt in ended:
        name = (str(attempt.facts["lane"]),)
        peaks[name] = max(peaks.get(name, 0), float(attempt.facts.get("peak_memory_bytes", 0)))
    yield _gauge("lane_peak_memory_bytes", "The most memory that a job took at each lane.", ("lane",), peaks)
    starts: Values = {(name,): number for name, number in run.workers_started.items()}
    yield _counter("lane_worker_starts", "Workers started at each lane.", ("lane",), starts)


def _rule_labels(attempt: Attempt) -> tuple[str, ...]:
    return (stage_of(attempt.rule), attempt.rule)


def _sum_fact(attempts: Iterable[Attempt], labels: Any, fact: str) -> dict[tuple[str, ...], float]:
    """Sum of a fact by labels, over the attempts that reported it."""
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

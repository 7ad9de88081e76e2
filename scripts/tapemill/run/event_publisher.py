"""Events of the main process of a run: start of the run, changes of its plan, metrics at intervals, crash report."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from tapemill import events
from tapemill.events import prometheus
from tapemill.events.attempts import names_of_log
from tapemill.events.run_state import RunState
from tapemill.lanes.lane import LANE, Lane
from tapemill.process import liveness
from tapemill.snakemake_compat.dag_api import scheduler_settings_of
from tapemill.snakemake_compat.queue_checkpoints import PlanChange, observe_plan

from . import crash_report

LOG = logging.getLogger("tapemill.run")

METRICS_INTERVAL_S = 15.0

_metrics: _MetricsWriter | None = None


ExpectedSeconds = Callable[[str, str, str], float | None]
"""Expected seconds of a job by rule, tape and scene; None if unknown."""


def start_event_publishing(workflow: Any, expected_s: ExpectedSeconds = lambda *_: None) -> None:
    """Start the event log, the metrics and the crash report of a run, before its first job."""
    global _metrics  # noqa: PLW0603  a process is the main process of one run
    run = liveness.own_run()
    name = events.start_log(run.id)
    logs = planned_logs(workflow.dag)
    events.emit(
        "run_started",
        command=sys.argv,
        run_id=run.id,
        host=socket.gethostname(),
        cores=workflow.cores,
        retries=workflow.execution_settings.retries,
        lanes=declared_lanes(workflow.scheduler),
        **_job_counts(logs, expected_s),
    )
    _publish_plan_changes(workflow.dag, logs, expected_s)
    _metrics = _MetricsWriter(name)
    _metrics.start()
    crash_report.arm(_metrics.write_last)


def stop_event_publishing() -> None:
    """Write the last metrics, after the run's last event."""
    crash_report.disarm()
    if _metrics is not None:
        _metrics.write_last()


def planned_logs(dag: Any) -> set[str]:
    """Logs, which are unique, of all jobs that are to run or have run. `all` runs nothing and has no log."""
    # Counted like Snakemake's own `len(dag)`.
    return {str(job.log[0]) for job in (*dag.finished_jobs, *dag.needrun_jobs()) if job.log}


def declared_lanes(scheduler: Any) -> list[dict[str, Any]]:
    """Lanes of Snakemake's `JobScheduler`: name, kind, and number of jobs that each holds."""
    # Only the scheduler `lanes` has such a setting, and only with it jobs learn of a lane.
    kind = getattr(scheduler_settings_of(scheduler), "device", None)
    declared = {name: most for name, most in scheduler.global_resources.items() if LANE.fullmatch(name) and most > 0}
    if kind is None:
        return []
    return [
        {"name": Lane(kind, number, warm=True).name, "kind": kind, "jobs": declared[f"gpu{number}"]}
        for number in sorted(int(name.removeprefix("gpu")) for name in declared)
    ]


def _publish_plan_changes(dag: Any, logs: AbstractSet[str], expected_s: ExpectedSeconds) -> None:
    """Emit the planned jobs whenever they change: a checkpoint is done, or a tape enters or leaves the queue."""
    published = logs
    departed: set[str] = set()
    """Jobs that left the plan and still belong to the run."""
    before: set[str] = set()

    def remember(change: PlanChange) -> None:
        nonlocal before
        if change == "queue":
            before = planned_logs(dag)
        else:
            # A checkpoint that no job depends on any more leaves the plan.
            departed.update(str(job.log[0]) for job in dag.finished_jobs if job.log)

    def publish(change: PlanChange) -> None:
        nonlocal published
        if change == "queue":
            departed.update(before - planned_logs(dag))
        if (jobs := departed | planned_logs(dag)) != published:
            published = jobs
            events.emit("jobs_planned", **_job_counts(jobs, expected_s))

    observe_plan(dag, remember, publish)


def _job_counts(logs: Iterable[str], expected_s: ExpectedSeconds) -> dict[str, Any]:
    """Fields of an event: numbers of jobs by rule (`jobs`), and by tape and rule (`tapes`), and their expected time.

    `expected_s` has the sum of all jobs of a tape and rule, if it is known of each of them.
    """
    names = sorted(names_of_log(log) for log in logs)
    tapes: dict[str, Counter[str]] = {}
    seconds: dict[str, dict[str, float | None]] = {}
    for rule, tape, scene in names:
        tapes.setdefault(tape, Counter())[rule] += 1
        so_far, own = seconds.setdefault(tape, {}).get(rule, 0.0), expected_s(rule, tape, scene)
        seconds[tape][rule] = None if so_far is None or own is None else so_far + own
    known = {
        tape: {rule: round(total, 1) for rule, total in rules.items() if total is not None}
        for tape, rules in seconds.items()
    }
    return {"jobs": Counter(rule for rule, _, _ in names), "tapes": tapes, "expected_s": known}


class _MetricsWriter(threading.Thread):
    """Thread that writes the metrics at intervals. It reads only new events."""

    def __init__(self, run: str) -> None:
        super().__init__(name="metrics", daemon=True)
        self._run = RunState(run)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._has_failed = False

    def run(self) -> None:
        """Write metrics until the process ends; first at once, because the file holds those of the last run."""
        self._write()
        while not self._over.wait(METRICS_INTERVAL_S):
            self._write()

    def write_last(self) -> None:
        """Write the metrics once more, with all events."""
        self._over.set()
        self._write()

    def _write(self) -> None:
        with self._lock:
            try:
                if self._run.update() or self._over.is_set():
                    prometheus.write_metrics(self._run)
            except Exception as error:  # noqa: BLE001  no run fails for its metrics
                if not self._has_failed:
                    LOG.warning("the metrics are not written: %s", error)
                self._has_failed = True

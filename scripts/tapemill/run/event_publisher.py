"""What the main process of a run tells of it while it lasts: the jobs that are planned, and the metrics."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterable
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

METRICS_EVERY_S = 15.0

_metrics: _Metrics | None = None


def begin(workflow: Any) -> None:
    """Called with Snakemake's workflow when it is about to start its first job."""
    global _metrics  # noqa: PLW0603  a process is the main process of one run
    run = liveness.own_run()
    name = events.begin(run.id)
    logs = planned(workflow.dag)
    events.write(
        "run_started",
        command=sys.argv,
        run_id=run.id,
        host=socket.gethostname(),
        cores=workflow.cores,
        retries=workflow.execution_settings.retries,
        lanes=lanes(workflow.scheduler),
        **_counted(logs),
    )
    _publish_growth(workflow.dag, logs)
    _metrics = _Metrics(name)
    _metrics.start()
    crash_report.expect(_metrics.write_last)


def ended() -> None:
    """Called when the run's last event is written."""
    crash_report.ended()
    if _metrics is not None:
        _metrics.write_last()


def planned(dag: Any) -> set[str]:
    """The logs of all jobs that are to run or have run, which tell them apart: `all` has nothing to run, and no log."""
    # As Snakemake's own `len(dag)`.
    return {str(job.log[0]) for job in (*dag.finished_jobs, *dag.needrun_jobs()) if job.log}


def lanes(scheduler: Any) -> list[dict[str, Any]]:
    """The lanes that Snakemake's `JobScheduler` hands out: name, kind, and how many jobs each holds."""
    # Only the scheduler `lanes` has such a setting, and only with it jobs learn of a lane.
    kind = getattr(scheduler_settings_of(scheduler), "device", None)
    declared = {name: most for name, most in scheduler.global_resources.items() if LANE.fullmatch(name) and most > 0}
    if kind is None:
        return []
    return [
        {"name": Lane(kind, number, warm=True).name, "kind": kind, "jobs": declared[f"gpu{number}"]}
        for number in sorted(int(name.removeprefix("gpu")) for name in declared)
    ]


def _publish_growth(dag: Any, logs: AbstractSet[str]) -> None:
    """Publish the planned jobs whenever they change: a checkpoint is done, or a tape enters or leaves the queue."""
    published = logs
    kept: set[str] = set()
    """Jobs that left the plan and still belong to the run."""
    before: set[str] = set()

    def remember(change: PlanChange) -> None:
        nonlocal before
        if change == "queue":
            before = planned(dag)
        else:
            # A checkpoint that no job depends on any more leaves the plan.
            kept.update(str(job.log[0]) for job in dag.finished_jobs if job.log)

    def publish(change: PlanChange) -> None:
        nonlocal published
        if change == "queue":
            kept.update(before - planned(dag))
        if (jobs := kept | planned(dag)) != published:
            published = jobs
            events.write("jobs_planned", **_counted(jobs))

    observe_plan(dag, remember, publish)


def _counted(logs: Iterable[str]) -> dict[str, Any]:
    """Numbers of jobs for an event: `jobs` by rule, `tapes` by tape and rule."""
    names = sorted(names_of_log(log) for log in logs)
    tapes: dict[str, Counter[str]] = {}
    for rule, tape, _ in names:
        tapes.setdefault(tape, Counter())[rule] += 1
    return {"jobs": Counter(rule for rule, _, _ in names), "tapes": tapes}


class _Metrics(threading.Thread):
    """Writes the metrics now and then. It reads only what is new."""

    def __init__(self, run: str) -> None:
        super().__init__(name="metrics", daemon=True)
        self._course = RunState(run)
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._has_failed = False

    def run(self) -> None:
        """Until the end of the process. At once, so that nobody takes the last run's numbers for this one's."""
        self._write()
        while not self._over.wait(METRICS_EVERY_S):
            self._write()

    def write_last(self) -> None:
        """Once more, with all there is."""
        self._over.set()
        self._write()

    def _write(self) -> None:
        with self._turn:
            try:
                if self._course.update() or self._over.is_set():
                    prometheus.write(self._course)
            except Exception as error:  # noqa: BLE001  no run fails for its metrics
                if not self._has_failed:
                    LOG.warning("the metrics are not written: %s", error)
                self._has_failed = True

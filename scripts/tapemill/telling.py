"""What the main process of a run tells of it while it lasts: the jobs that are planned, and the metrics."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from . import events, lifeline, metrics
from .attempts import JobNote
from .course import Course
from .lanes.lane import LANE, Lane

LOG = logging.getLogger("tapemill.telling")

METRICS_EVERY_S = 15.0

_metrics: _Metrics | None = None


def begin(workflow: Any) -> None:
    """Called with Snakemake's workflow when it is about to start its first job."""
    global _metrics  # noqa: PLW0603  a process is the main process of one run
    run = lifeline.run_of(os.getpid())
    assert run is not None
    name = events.begin(run.id)
    tapes = planned(workflow.dag)
    events.write(
        "run_started",
        command=sys.argv,
        run_id=run.id,
        host=socket.gethostname(),
        cores=workflow.cores,
        retries=workflow.execution_settings.retries,
        lanes=lanes(workflow.scheduler),
        jobs=_by_rule(tapes),
        tapes=tapes,
    )
    _tell_growth(workflow.dag, tapes)
    _metrics = _Metrics(name)
    _metrics.start()


def ended() -> None:
    """Called when the run's last event is written."""
    if _metrics is not None:
        _metrics.write_last()


def planned(dag: Any) -> dict[str, dict[str, int]]:
    """How many jobs the run has, by tape (empty for those of no tape) and rule: done, and still to do."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    # As Snakemake's own `len(dag)`.
    for job in {*dag.finished_jobs, *dag.needrun_jobs()}:
        # `all` has nothing to run, and no log.
        if job.log:
            rule, tape, _ = JobNote(str(job.log[0])).names
            found[tape][rule] += 1
    return {tape: dict(sorted(rules.items())) for tape, rules in sorted(found.items())}


def lanes(scheduler: Any) -> list[dict[str, Any]]:
    """The lanes that Snakemake's `JobScheduler` hands out: name, kind, and how many jobs each holds."""
    # Only the scheduler `lanes` has such a setting, and only with it jobs learn of a lane.
    kind = getattr(getattr(getattr(scheduler, "_scheduler", None), "settings", None), "device", None)
    declared = {name: most for name, most in scheduler.global_resources.items() if LANE.fullmatch(name) and most > 0}
    numbers = sorted(int(name.removeprefix("gpu")) for name in declared) if kind else []
    return [
        {"name": Lane(kind, number, warm=True).name, "kind": kind, "jobs": declared[f"gpu{number}"]}
        for number in numbers
    ]


def _tell_growth(dag: Any, tapes: Mapping[str, Mapping[str, int]]) -> None:
    """Tell whenever there are other jobs to do than there were: a checkpoint knows more of them when it is done.

    There is no public call for this (Snakemake 9.27.1, `DAG.finish`): tests/workflow/test_telling.py fails if a new one
    does it elsewhere. It costs next to nothing beside what Snakemake does there itself.
    """
    update = dag.update_checkpoint_dependencies
    told = tapes

    async def update_and_tell(jobs: Any = None) -> bool:
        nonlocal told
        is_updated = bool(await update(jobs))
        if is_updated and (now := planned(dag)) != told:
            told = now
            events.write("jobs_planned", jobs=_by_rule(now), tapes=now)
        return is_updated

    dag.update_checkpoint_dependencies = update_and_tell


def _by_rule(tapes: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for rules in tapes.values():
        for rule, number in rules.items():
            found[rule] += number
    return dict(sorted(found.items()))


class _Metrics(threading.Thread):
    """Writes the metrics now and then. It reads only what is new."""

    def __init__(self, run: str) -> None:
        super().__init__(name="metrics", daemon=True)
        self._course = Course(run)
        self._turn = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        """Until the end of the process."""
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
                    metrics.write(self._course)
            except OSError as error:
                LOG.warning("the metrics are not written: %s", error)

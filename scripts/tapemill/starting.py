"""What a run does before its first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import bookkeeping, groups, heartbeat, lifeline, mainprocess, retrying, runlock, stopping

FOLDER = Path(".snakemake")


def begin(workflow: Any, planned_on: int | None) -> None:
    """Called with Snakemake's workflow once it is planned. Raises FatalError if the run may not start.

    `planned_on` is what `runlock.footprint` said before the planning.
    """
    # Held by this process until it ends, however it ends: the kernel releases it (profiles say nolock).
    runlock.hold(FOLDER, planned_on)
    bookkeeping.harden(workflow.persistence)
    bookkeeping.clear_up(FOLDER, workflow.dag)
    retrying.begin(workflow.scheduler)
    if workflow.non_local_exec:
        heartbeat.begin(lifeline.own_run().id)
        groups.begin(workflow)
    mainprocess.keep_logging_faults_quiet()
    mainprocess.reschedule_once_a_second(workflow.scheduler)
    stopping.finish_at_signals(workflow.scheduler._executor)

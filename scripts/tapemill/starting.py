"""What a run does before its first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import (
    bookkeeping,
    filesystem,
    groups,
    heartbeat,
    lifeline,
    mainprocess,
    retrying,
    runlock,
    settled,
    slurm,
    stopping,
)

FOLDER = Path(".snakemake")
LOOKING = frozenset({"plan"})
"""Rules that make nothing."""


def begin(workflow: Any, planned_on: int | None) -> None:
    """Called with Snakemake's workflow once it is planned. Raises FatalError if the run may not start.

    `planned_on` is what `runlock.footprint` said before the planning. Whoever only wants to see the plan takes no lock,
    so that it can be seen beside a run, and touches nothing that a run needs.
    """
    if _only_looks(workflow.dag):
        lifeline.begin_run()
        mainprocess.keep_logging_faults_quiet()
        stopping.finish_at_signals()
        return
    filesystem.check_run(FOLDER)
    # Held by this process until it ends, however it ends: the kernel releases it (profiles say nolock).
    runlock.hold(FOLDER, planned_on)
    slurm.begin(workflow, FOLDER)
    bookkeeping.harden(workflow.persistence)
    bookkeeping.clear_up(FOLDER, workflow.dag)
    retrying.begin(workflow.scheduler)
    if workflow.non_local_exec:
        heartbeat.begin(lifeline.own_run().id)
        groups.begin(workflow)
    mainprocess.keep_logging_faults_quiet()
    mainprocess.reschedule_once_a_second(workflow.scheduler)
    mainprocess.remove_temporary_files_at_once(workflow.dag)
    mainprocess.see_behind_checkpoints_of_a_queue(workflow.dag)
    settled.forget({job.wildcards_dict.get("tape", "") for job in workflow.dag.needrun_jobs()})
    stopping.finish_at_signals(workflow.scheduler._executor)


def _only_looks(dag: Any) -> bool:
    jobs = list(dag.needrun_jobs())
    return bool(jobs) and all(job.rule.name in LOOKING for job in jobs)

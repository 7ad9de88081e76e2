"""Tapes that enter the plan through a queue with their checkpoint done (Snakemake 9.27.1, `update_queue_input_jobs`).

Upstream: docs/upstream/queue-checkpoints.md. A change of the plan can be seen nowhere else than in the methods that
`DAG.finish` calls after each job; `observe_plan` wraps them once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

PlanChange = Literal["checkpoint", "queue"]
"""A checkpoint is done, or a tape enters or leaves the queue."""
Observer = Callable[[PlanChange], None]


def plan_behind_checkpoints(dag: Any) -> None:
    """Plan the scenes of a tape that enters through the queue while its scene table is there.

    Snakemake evaluates checkpoints that are done when it makes its first plan, and others as they end. A tape whose
    scene table exists when it enters would stand in the plan without its scenes, and seem to have nothing to do.
    """
    move_on = dag.update_queue_input_jobs

    async def move_on_and_evaluate() -> bool:
        before = set(dag.jobs)
        is_updated = bool(await move_on())
        # None of those that were there: jobs that depend on them may be running.
        new = [job for job in dag.jobs if job.is_checkpoint and job not in before and not dag.needrun(job)]
        done = [job for job in new if all(Path(file).exists() for file in job.output)]
        if done:
            await dag.update_checkpoint_dependencies(done)
        return is_updated

    dag.update_queue_input_jobs = move_on_and_evaluate


def observe_plan(dag: Any, before: Observer, after: Observer) -> None:
    """Call `before` ahead of each step that may change the plan, and `after` if it did, with the kind of the step."""
    update, move_on = dag.update_checkpoint_dependencies, dag.update_queue_input_jobs

    async def update_and_report(jobs: Any = None) -> bool:
        # Called for each job that is done.
        if jobs is None or any(job.is_checkpoint for job in jobs):
            before("checkpoint")
        is_updated = bool(await update(jobs))
        if is_updated:
            after("checkpoint")
        return is_updated

    async def move_on_and_report() -> bool:
        before("queue")
        is_updated = bool(await move_on())
        if is_updated:
            after("queue")
        return is_updated

    dag.update_checkpoint_dependencies = update_and_report
    dag.update_queue_input_jobs = move_on_and_report

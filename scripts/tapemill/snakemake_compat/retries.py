"""Retries of a single job (Snakemake 9.27.1, `JobScheduler._handle_error`).

Upstream: docs/upstream/retries.md, docs/upstream/lost-retries.md.
"""

from __future__ import annotations

from functools import wraps
from typing import Any


def stop_retries(job: Any) -> None:
    """Let a job, or a group of jobs, that failed not be tried again. No public call does that.

    Snakemake compares the attempt with `restart_times` and nothing else. If a later version keeps it elsewhere, the
    next attempts end at once with the same error.
    """
    job._attempt = job.restart_times + 1


def keep_retries_through_checkpoints() -> None:
    """Let a failed job that waits for its next attempt count as ready, and no longer as running.

    Snakemake leaves it among the running jobs. When a checkpoint ends, it makes its list of ready jobs anew, without
    those that run: the failed job would never start again, nor what depends on it.
    """
    from snakemake.scheduling.job_scheduler import JobScheduler

    original = JobScheduler._handle_error
    if hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def handle_error(scheduler: Any, job: Any, *args: Any, **named: Any) -> None:
        original(scheduler, job, *args, **named)
        dag = scheduler.workflow.dag
        if job in dag.ready_jobs:
            dag._running.discard(job)

    JobScheduler._handle_error = handle_error

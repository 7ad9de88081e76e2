"""A failed group, which Snakemake tries again as a whole (Snakemake 9.27.1, `JobScheduler._handle_error`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any


def split_failed_groups(scheduler: Any, split: Callable[[Any], Sequence[Any]]) -> None:
    """Replace a failed group by the parts that `split` returns before the scheduler handles the error.

    `split` is called with the scheduler's lock held, for a group that still counts as running.
    """
    handle = scheduler._handle_error

    def handle_error(job: Any, postprocess_job: bool = True) -> None:
        # A group that ended well, but whose files cannot be seen, was checked by Snakemake already.
        if not job.is_group() or not postprocess_job:
            handle(job, postprocess_job)
            return
        for part in split(job):
            handle(part, postprocess_job)

    scheduler._handle_error = handle_error


def make_part(dag: Any, group: Any, jobs: Collection[Any]) -> Any:
    """A group of some jobs of a group, with its attempt."""
    part = dag.group_job_factory.new(group.groupid, jobs, group.global_resources)
    part._attempt = group.attempt
    part.finalize()
    dag._group |= dict.fromkeys(jobs, part)
    return part


def replace_running(scheduler: Any, group: Any, parts: Sequence[Any]) -> None:
    """Let the parts count as running instead of their group."""
    dag = scheduler.workflow.dag
    scheduler.running.remove(group)
    scheduler._free_resources(group)
    dag._running.remove(group)
    scheduler.running.update(parts)
    scheduler.update_available_resources(parts)
    dag.register_running(set(parts))


def finish(scheduler: Any, part: Any) -> None:
    """Let a part that counts as running end well."""
    scheduler._tofinish.append(part)
    scheduler._open_jobs.release()


def running_groups(scheduler: Any) -> list[Any]:
    """Groups that run now."""
    with scheduler._lock:
        return [group for group in scheduler.running if group.is_group()]


def mark_done(dag: Any, done: Iterable[Any]) -> None:
    """Leave out jobs that are done already. Snakemake starts with all jobs of a submission, whatever files exist."""
    jobs = set(done)
    for job in jobs:
        for user in filter(dag.needrun, dag.depending[job]):
            dag._n_until_ready[user] -= 1
    dag._ready_jobs -= jobs
    dag._finished |= jobs
    dag.update_ready()

"""Groups of connected jobs only (Snakemake 9.27.1, `DAG.update_groups`).

Snakemake makes a group of what is connected, so each scene would be its own; several such parts are put together only
by `--group-components NAME=NUMBER`, for names known at the start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any, Final

GATHERED: Final = "tapemill_gathered"


def gather_by_name(group_name: type, resources_of: Callable[[Any, Collection[Any]], Any]) -> None:
    """Put all jobs with the same `group_name` into one group, with the resources that `resources_of` returns.

    Groups that run, or wait for their next attempt, stay as they are: jobs that a checkpoint adds cannot join them.
    """
    from snakemake.dag import DAG

    connected = DAG.update_groups
    if hasattr(connected, GATHERED):
        return

    def update_groups(dag: Any) -> None:
        waiting = [job for job in dag.needrun_jobs() if job.group is not None]
        # Groups that others made have other names, and pipes have to run at the same time.
        if not waiting or not all(isinstance(job.group, group_name) for job in waiting):
            connected(dag)
            return
        groups = {job: group for group in dag._running if group.is_group() for job in group}
        by_name = defaultdict(set)
        for job in waiting:
            if job not in groups:
                by_name[job.group].add(job)
        for name, jobs in by_name.items():
            group = dag.group_job_factory.new(name, jobs, resources_of(dag.workflow, jobs))
            group.finalize()
            groups |= dict.fromkeys(jobs, group)
            dag.validate_group(group)
        dag._group = groups

    setattr(update_groups, GATHERED, True)
    DAG.update_groups = update_groups

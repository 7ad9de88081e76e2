"""Jobs with the same name of a group are one group, and a group fits on one card.

Snakemake (9.27.1, `DAG.update_groups`) makes a group of what is connected, so that each scene would be its own; several
such parts are put together only by `--group-components NAME=NUMBER`, for names that are known when it is started. It
also takes a group's jobs to run all at the same time, as far as resources of the whole run allow: thirty scenes would
ask for thirty cards.

tests/workflow/test_grouping.py fails if a new Snakemake makes this unnecessary, or impossible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final

from tapemill.lanes.assignment import CORES, GPU

from .batching import GroupName

GATHERED: Final = "tapemill_gathered"


def gather_by_name() -> None:
    """Let `DAG.update_groups` put together what `batches` gave the same name.

    Groups that run, or wait for their next attempt, stay as they are: what a checkpoint brings cannot join them then.
    """
    from snakemake.dag import DAG

    connected = DAG.update_groups
    if hasattr(connected, GATHERED):
        return

    def update_groups(dag: Any) -> None:
        waiting = [job for job in dag.needrun_jobs() if job.group is not None]
        # Groups that others made know nothing of names, and pipes have to run at the same time.
        if not waiting or not all(isinstance(job.group, GroupName) for job in waiting):
            connected(dag)
            return
        groups = {job: group for group in dag._running if group.is_group() for job in group}
        by_name = defaultdict(set)
        for job in waiting:
            if job not in groups:
                by_name[job.group].add(job)
        for name, jobs in by_name.items():
            group = dag.group_job_factory.new(name, jobs, fitting(dag.workflow, jobs))
            group.finalize()
            groups |= dict.fromkeys(jobs, group)
            dag.validate_group(group)
        dag._group = groups

    setattr(update_groups, GATHERED, True)
    DAG.update_groups = update_groups


def fitting(workflow: Any, jobs: Collection[Any]) -> Any:
    """What jobs of a group may use at the same time, as Snakemake's resources: one card, and so many cores.

    As many as its most demanding job, and one on which the next scene is cut meanwhile. The process on the node has to
    find the same number, so it does not depend on what the run was started with.
    """
    resources = workflow.global_resources.copy()
    resources[CORES] = 1 + max(_threads(job.rule) for job in jobs)
    resources[GPU] = 1
    return resources


def _threads(rule: Any) -> int:
    threads = rule.resources[CORES]
    return int(threads.value) if not threads.is_evaluable() and threads.value else 1

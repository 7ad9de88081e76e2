"""Slurm and job groups: on a cluster one submission does many scenes of a tape, with one start of the worker.

batching         scenes of each group, and the name of the group
group_building   resources of a group: it fits on one GPU
group_cleanup    finished jobs of a group, by the records of the process that ran them
group_failure    retry of the failed jobs of a group
node             the Snakemake process of a submission
slurm            start and end of a run that submits to Slurm

Without a cluster there are no groups.
"""

from typing import Any

from tapemill.snakemake_compat.groups.gathering import gather_by_name
from tapemill.snakemake_compat.groups.outputs import keep_outputs

from . import group_failure, node
from .batching import GroupName, group_function
from .group_building import group_resources
from .group_cleanup import is_done_in_this_run

__all__ = ["at_parse", "at_start", "group_function"]


def at_parse(workflow: Any) -> None:
    """Install groups while the Snakefile is parsed, in every process of Snakemake."""
    gather_by_name(GroupName, group_resources)
    keep_outputs(is_done_in_this_run)
    if workflow.remote_exec:
        node.become_supervisor()


def at_start(workflow: Any) -> None:
    """Start the retry of failed groups, in the main process of a run on a cluster, before its first job."""
    group_failure.watch_groups(workflow)

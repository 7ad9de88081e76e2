"""Scenes of a tape in groups: on a cluster one submission does many of them, with one start of the worker.

batches     which scenes belong together, and what their group is called
gathering   all jobs of a name are one group, which fits on one card
leaving     what was made on another machine is left to the process there
dividing    what becomes of a group of which some jobs failed
node        the Snakemake process in a cluster's job

Where no cluster is used there are no groups.
"""

from typing import Any

from tapemill.snakemake_compat.groups.gathering import gather_by_name
from tapemill.snakemake_compat.groups.outputs import keep_outputs

from . import group_failure, node
from .batching import GroupName, together
from .group_building import group_resources
from .group_cleanup import is_done_in_this_run

__all__ = ["begin", "prepare", "together"]


def prepare(workflow: Any) -> None:
    """While the Snakefile is parsed, in every process of Snakemake."""
    gather_by_name(GroupName, group_resources)
    keep_outputs(is_done_in_this_run)
    if workflow.remote_exec:
        node.begin()


def begin(workflow: Any) -> None:
    """In the main process of a run on a cluster, before its first job."""
    group_failure.begin(workflow)

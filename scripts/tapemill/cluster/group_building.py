"""Resources of a group: it fits on one GPU.

Snakemake (9.27.1) takes the jobs of a group to run all at the same time, as far as resources of the whole run allow:
thirty scenes would ask for thirty GPUs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tapemill.lanes.assignment import CORES, GPU


def group_resources(workflow: Any, jobs: Collection[Any]) -> Any:
    """Resources that the jobs of a group may use at the same time: one GPU, and a number of cores.

    The cores are those of its most demanding job, and one more to cut the next scene meanwhile. The process on the node
    must find the same number, so it does not depend on the options of the run.
    """
    resources = workflow.global_resources.copy()
    resources[CORES] = 1 + max(_threads(job.rule) for job in jobs)
    resources[GPU] = 1
    return resources


def _threads(rule: Any) -> int:
    threads = rule.resources[CORES]
    return int(threads.value) if not threads.is_evaluable() and threads.value else 1

"""Access to Snakemake's jobs: keys, resources, lanes."""

import re
from collections.abc import Mapping
from typing import Any

from tapemill.lanes.assignment import GPU, LANE_DEVICE, LANE_WARM
from tapemill.snakemake_compat.aux_resources import remove_aux_resources

LANE = re.compile(rf"{GPU}(0|[1-9][0-9]*)")


def remove_lane(job: Any) -> None:
    """Remove the lane of an earlier attempt."""
    remove_aux_resources(job, lambda name: name in (LANE_DEVICE, LANE_WARM) or LANE.fullmatch(name) is not None)


def key_of(job: Any) -> str:
    """Return the outputs of a job as its key. Snakemake recreates job objects after a checkpoint."""
    return "\n".join(map(str, job.output)) or f"job {id(job)}"


def needs_of(job: Any, of: Mapping[str, int]) -> dict[str, int]:
    """Return the amounts a job needs of the resources `of`."""
    resources = job.scheduler_resources
    return {name: resources[name] for name in of if isinstance(resources.get(name), int) and resources[name] > 0}


def integer_resource(resources: Mapping[str, int | str], name: str) -> int:
    """Return a resource that is an integer; 0 if it is absent or not known yet."""
    value = resources.get(name, 0)
    return value if isinstance(value, int) else 0


def requests_gpu(job: Any) -> bool:
    """Whether the rule of a job, ready or not, requests a GPU.

    Resources of jobs that are not ready must not be evaluated: Snakemake would cache them as they are before the job's
    input exists.
    """
    resources = job.rule.resources
    return GPU in resources and not resources[GPU].is_evaluable() and bool(resources[GPU].value)

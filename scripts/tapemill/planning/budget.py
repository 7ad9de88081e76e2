"""A run that would take more than it may does not start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..diskspace import GB, size
from ..enhance import SceneSettings
from ..errors import FatalError
from ..tapes import TapeLookup


def check_budget(
    workflow: Any,
    lookups: Mapping[str, TapeLookup],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    later: Sequence[str] = (),
) -> None:
    """Raise FatalError if the plan of this run exceeds the section `budget`. Without one, nothing is planned.

    Of tapes that come `later`, and are in no plan yet, what is missing counts.
    """
    hours, gb = config["budget"]["hours"], config["budget"]["gb"]
    if hours is None and gb is None:
        return
    from .estimate import estimate
    from .jobs import Run, of_dag
    from .show import basis, duration
    from .tasks import missing

    jobs = of_dag(workflow.dag)
    for tape in later:
        jobs += missing(lookups[tape], config["tape"]["container"])
    if not any(job.is_to_do and job.tape in lookups for job in jobs):
        return
    plan = estimate(jobs, lookups, enhance, config, Run.of(workflow))
    excess = []
    if hours is not None and plan.total_s > hours * 3600:
        excess.append(f"it would take {duration(plan.total_s)}, and it may {hours:g} h (budget: hours)")
    if gb is not None and plan.grows_bytes > gb * GB:
        excess.append(f"it would need {size(plan.grows_bytes)} of disk, and it may {gb:g} GB (budget: gb)")
    if excess:
        raise FatalError(
            f"this run is not started, it exceeds the budget: {'; '.join(excess)}. {basis(plan)}",
            remedy="`snakemake plan` shows what takes how much; name fewer tapes (results/<tape>/<tape>.mkv), choose"
            " other settings, or raise the budget in the config",
        )

"""Plan of a run of `all`: jobs, time, disk space, energy; and the check of its budget."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tapemill.enhance import SceneSettings
from tapemill.workflow.run_options import RunOptions
from tapemill.workflow.tape import TapeState

from .cluster_resources import ClusterResources
from .models_needed import require_models
from .plan import check_budget

__all__ = ["ClusterResources", "check_before_run", "show_plan"]

# Options of the run, for the job of `show_plan`. A param would be evaluated before the lanes are declared.
RUN_VARIABLE: Final = "TAPEMILL_PLANNED_RUN"


PLAN_RULES: Final = frozenset({"show_plan", "plan"})
"""The rule that prints the plan, and its old name."""


def check_before_run(
    workflow: Any,
    states: Mapping[str, TapeState],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    *,
    later: Sequence[str] = (),
) -> None:
    """Check models and budget before the first job of a run, in its main process. Raises FatalError.

    `later` are tapes that wait in the queue.
    """
    if any(job.rule.name in PLAN_RULES for job in workflow.dag.needrun_jobs()):
        os.environ[RUN_VARIABLE] = json.dumps(asdict(RunOptions.of_workflow(workflow)))
    require_models(workflow.dag.needrun_jobs())
    check_budget(workflow, states, enhance, config, later)


def show_plan(*, config: Mapping[str, Any]) -> None:
    """Print the plan of a run of `all`; also write it to the file `plan: json`, if the config names one.

    Raises FatalError if Snakemake cannot plan `all`.
    """
    from tapemill.storage.atomic import write_json
    from tapemill.workflow.settings import load_settings

    from .estimate import estimate
    from .snakemake_jobs import plan_target
    from .text_view import print_plan

    run = RunOptions(**json.loads(os.environ[RUN_VARIABLE]))
    jobs = plan_target(run, config)
    settings = load_settings(config, config["own"])
    plan = estimate(jobs, settings.tapes, settings.enhance, config, run)
    now = datetime.now().astimezone()
    print_plan(plan, now)
    if config["plan"]["json"]:
        write_json(Path(config["plan"]["json"]), plan.to_plain(now))

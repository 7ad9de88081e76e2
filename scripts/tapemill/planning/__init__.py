"""The plan: what a run of `all` would do, how long it would take and what it needs; and the budget it has to keep."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tapemill.enhance import SceneSettings
from tapemill.workflow.tape import TapeState

from .cluster_resources import ClusterResources
from .plan import check_budget

__all__ = ["ClusterResources", "check_before_run", "show_plan"]

# Tells the job of the rule `plan` how its run was started. As a param it would be asked for before lanes are declared.
RUN_VARIABLE: Final = "TAPEMILL_PLANNED_RUN"


PLAN_RULES: Final = frozenset({"show_plan", "plan"})
"""The rule that prints the plan, and its old name."""


def check_before_run(
    workflow: Any,
    lookups: Mapping[str, TapeState],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    *,
    later: Sequence[str] = (),
) -> None:
    """Before the first job of a run, in its main process: raise FatalError if it would exceed its budget.

    `later` are tapes that wait in the queue.
    """
    if any(job.rule.name in PLAN_RULES for job in workflow.dag.needrun_jobs()):
        from .snakemake_jobs import Run

        os.environ[RUN_VARIABLE] = json.dumps(asdict(Run.of(workflow)))
    check_budget(workflow, lookups, enhance, config, later)


def show_plan(*, config: Mapping[str, Any], producible: Sequence[str]) -> None:
    """Print what a run of `all` would do now; also write it to the file `plan: json`, if the config names one.

    `producible` are sources of the sheet that a rule can make. Raises FatalError if Snakemake cannot plan `all`.
    """
    from tapemill.config.tape_sheet import load_sheet
    from tapemill.storage.atomic import write_json
    from tapemill.workflow import tape

    from .estimate import estimate
    from .snakemake_jobs import Run, of_target
    from .text_view import show

    run = Run(**json.loads(os.environ[RUN_VARIABLE]))
    jobs = of_target(run, config)
    lookups = tape.tape_states(load_sheet(Path(config["sheet"]), producible=producible))
    plan = estimate(jobs, lookups, SceneSettings.planned(config["enhance"], list(lookups)), config, run)
    now = datetime.now().astimezone()
    show(plan, now)
    if config["plan"]["json"]:
        write_json(Path(config["plan"]["json"]), plan.to_plain(now))

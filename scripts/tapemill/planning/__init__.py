"""The plan: what a run of `all` would do, how long it would take and what it needs; and the budget it has to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from .budget import check_budget

__all__ = ["check_budget", "described", "show_plan"]


def described(workflow: Any) -> dict[str, Any]:
    """How this run was started, for the params of the rule `plan`."""
    from .jobs import Run

    return asdict(Run.of(workflow))


def show_plan(*, run: Mapping[str, Any], config: Mapping[str, Any], producible: Sequence[str]) -> None:
    """Print what a run of `all` would do now; also write it to the file `plan: json`, if the config names one.

    `run` is what `described` said; `producible` are sources of the sheet that a rule can make. Raises FatalError if
    Snakemake cannot plan `all`.
    """
    from ..enhance import SceneSettings
    from ..files import write_json
    from ..settings import load_sheet
    from ..tapes import lookups
    from .estimate import estimate
    from .jobs import Run, of_target
    from .show import show

    this = Run(**run)
    jobs = of_target(this, config)
    rows = load_sheet(Path(config["sheet"]), producible=producible)
    plan = estimate(jobs, lookups(rows), SceneSettings.planned(config["enhance"], list(rows)), config, this)
    now = datetime.now().astimezone()
    show(plan, now)
    if config["plan"]["json"]:
        write_json(Path(config["plan"]["json"]), plan.to_plain(now))

"""Options of a run that decide what is to do and how fast: cores, lanes, rerun triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tapemill.snakemake_compat.dag_api import scheduler_settings_of


@dataclass(frozen=True)
class RunOptions:
    """Options with which a run was started. They pass as JSON to the job that prints the plan."""

    snakefile: str
    triggers: Sequence[str]
    """Rerun triggers."""
    cores: int
    lanes: Mapping[str, int]
    """Number of jobs that each lane holds: one runs, the others wait."""
    device: str = "cpu"
    """Kind of the lanes."""

    @classmethod
    def of_workflow(cls, workflow: Any) -> Self:
        """Read the options from Snakemake's workflow after its scheduler has declared the lanes of the profile."""
        resources = workflow.scheduler.global_resources
        lanes = {name: most for name, most in resources.items() if name[:3] == "gpu" and name[3:].isdecimal() and most}
        settings = scheduler_settings_of(workflow.scheduler)
        return cls(
            snakefile=str(workflow.main_snakefile),
            triggers=sorted(trigger.name for trigger in workflow.rerun_triggers),
            # On a cluster the number of cores is unlimited, and jobs are counted instead.
            cores=min(resources["_cores"], resources["_nodes"]),
            lanes=dict(sorted(lanes.items(), key=lambda lane: int(lane[0][3:]))),
            device=str(getattr(settings, "device", "cpu")),
        )

    @property
    def has_gpus(self) -> bool:
        """Whether jobs that request a GPU get one. Lanes of kind `cpu` have none."""
        return bool(self.lanes) and self.device != "cpu"

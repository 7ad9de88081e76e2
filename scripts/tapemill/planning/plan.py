"""Figures of a plan, and the budget of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from tapemill.core.errors import FatalError
from tapemill.core.rule_catalog import Condition
from tapemill.enhance import EnhanceSettings, SceneSettings, needs_choice
from tapemill.storage.disk_space import GB, format_size
from tapemill.workflow.run_options import RunOptions
from tapemill.workflow.tape import TapeState


@dataclass(frozen=True)
class StagePlan:
    """Plan of one stage of one tape."""

    stage: str
    to_do: int
    """Jobs that Snakemake knows."""
    to_come: int
    """Estimated jobs after a checkpoint."""
    done: int
    card_s: float
    """Sum of the times of jobs on GPUs."""
    core_s: float
    """Sum of the times of jobs on cores."""
    measured_share: float
    """Share of its work whose time is based on measurements."""


@dataclass(frozen=True)
class TapePlan:
    """Plan of one tape, or of the jobs without a tape (`tape` is empty)."""

    tape: str
    title: str
    scenes: int
    are_scenes_known: bool
    video_s: float
    is_length_known: bool
    stages: tuple[StagePlan, ...]
    ends_s: float
    """Time from the start of the run until the end of its last job; 0 if there is nothing to do."""


@dataclass(frozen=True)
class DiskUsage:
    """Disk space of a run on one file system."""

    folder: str
    used_bytes: int
    """By existing files of its tapes."""
    peak_bytes: int
    """Maximum during the run, existing files included."""
    after_bytes: int
    free_bytes: int
    """Now."""
    is_guess: bool
    """Whether only the size of the capture is known of one of the tapes."""


@dataclass(frozen=True)
class EnergyUse:
    """Energy of a run, as far as wattages are configured."""

    kwh: float
    price: float | None
    """In the currency of `plan: price_kwh`."""


@dataclass(frozen=True)
class Plan:
    """Plan of a run. Field names are those of the JSON file."""

    tapes: tuple[TapePlan, ...]
    jobs: Mapping[str, int]
    """Jobs to do that Snakemake knows, by rule."""
    total_s: float
    """From the command to its end; 0 if there is nothing to do."""
    cores: int
    busy_s: Mapping[str, float]
    """Work of each lane; under `cores` the sum of all cores."""
    spaces: tuple[DiskUsage, ...]
    energy: EnergyUse | None
    measured_jobs: int
    """Number of jobs of this machine on which the times are based."""
    measured_share: float
    """Share of the work whose time is based on them; the rest uses default speeds."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(stage.to_do or stage.to_come for tape in self.tapes for stage in tape.stages)

    @property
    def grows_bytes(self) -> int:
        """Maximum of additional disk space during the run."""
        return sum(space.peak_bytes - space.used_bytes for space in self.spaces)

    def finish(self, now: datetime) -> datetime:
        """Time of the end if the run starts now."""
        return now + timedelta(seconds=self.total_s)

    def to_plain(self, now: datetime) -> dict[str, Any]:
        """Convert to JSON values."""
        return {"made": now.isoformat(), "finish": self.finish(now).isoformat(), **asdict(self)}


def check_budget(
    workflow: Any,
    states: Mapping[str, TapeState],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    later: Sequence[str] = (),
) -> None:
    """Raise FatalError if the plan of this run exceeds the section `budget`. Without a budget nothing is estimated.

    Of the tapes `later`, which are in no plan yet, missing outputs count.
    """
    hours, gb = config["budget"]["hours"], config["budget"]["gb"]
    if hours is None and gb is None:
        return
    from .estimate import estimate
    from .snakemake_jobs import jobs_of_dag
    from .tasks import missing_jobs
    from .text_view import format_basis, format_duration

    jobs = jobs_of_dag(workflow.dag)
    for tape in later:
        jobs += missing_jobs(states[tape], config["tape"]["container"], _conditions(states[tape], config, enhance))
    if not any(job.is_to_do and job.tape in states for job in jobs):
        return
    plan = estimate(jobs, states, enhance, config, RunOptions.of_workflow(workflow))
    excess = []
    if hours is not None and plan.total_s > hours * 3600:
        excess.append(f"it would take {format_duration(plan.total_s)}, and it may {hours:g} h (budget: hours)")
    if gb is not None and plan.grows_bytes > gb * GB:
        excess.append(f"it would need {format_size(plan.grows_bytes)} of disk, and it may {gb:g} GB (budget: gb)")
    if excess:
        raise FatalError(
            f"this run is not started, it exceeds the budget: {'; '.join(excess)}. {format_basis(plan)}",
            remedy="`snakemake show_plan` shows what needs how much; name fewer tapes (results/<tape>/<tape>.mkv), "
            "choose other settings, or raise the budget in the config",
        )


def _conditions(state: TapeState, config: Mapping[str, Any], enhance: SceneSettings) -> set[Condition]:
    """Conditions that the settings of a tape fulfil."""
    found: set[Condition] = set()
    if state.row.language == "auto":
        found.add("auto_language")
    if config["subtitles"]["translate"] and state.row.language != "en":
        found.add("translation")
    if needs_choice(EnhanceSettings(**enhance.of_tape)):
        found.add("hardware_encoder")
    return found

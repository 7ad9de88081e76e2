"""What a plan says: the figures, and nothing of how they came about or how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from tapemill.core.errors import FatalError
from tapemill.core.rule_catalog import Condition
from tapemill.enhance import EnhanceSettings, SceneSettings, needs_choice
from tapemill.storage.disk_space import GB, format_size
from tapemill.workflow.tape import TapeState


@dataclass(frozen=True)
class StagePlan:
    """One stage of one tape."""

    stage: str
    to_do: int
    """Jobs that Snakemake knows of."""
    to_come: int
    """Jobs that will turn up after a checkpoint, by estimate."""
    done: int
    card_s: float
    """Work on cards, added up."""
    core_s: float
    """Work on cores, added up."""
    measured_share: float
    """Part of its work whose time comes from this machine."""


@dataclass(frozen=True)
class TapePlan:
    """One tape, or what belongs to none (`tape` is empty)."""

    tape: str
    title: str
    scenes: int
    are_scenes_known: bool
    video_s: float
    is_length_known: bool
    stages: tuple[StagePlan, ...]
    ends_s: float
    """From the start of the run until the last of its jobs is done; 0 if there is nothing to do."""


@dataclass(frozen=True)
class Space:
    """What a run needs on one file system, in bytes."""

    folder: str
    used_bytes: int
    """By what is there of its tapes."""
    peak_bytes: int
    """At the most, while the run is at work; what is there already included."""
    after_bytes: int
    free_bytes: int
    """Now."""
    is_guess: bool
    """Whether nothing but the size of a capture is known of one of the tapes."""


@dataclass(frozen=True)
class Energy:
    """What a run draws, as far as wattages are configured."""

    kwh: float
    price: float | None
    """In whatever `plan: price_kwh` is given in."""


@dataclass(frozen=True)
class Plan:
    """The whole of it."""

    tapes: tuple[TapePlan, ...]
    jobs: Mapping[str, int]
    """Jobs to do that Snakemake knows of, by rule."""
    total_s: float
    """From the command to its end; 0 if there is nothing to do."""
    cores: int
    busy_s: Mapping[str, float]
    """How long each lane works; under `cores` the sum of all cores."""
    spaces: tuple[Space, ...]
    energy: Energy | None
    measured_jobs: int
    """How many jobs of this machine the times are based on."""
    measured_share: float
    """Part of the work whose time is based on them; the rest is stated figures."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(stage.to_do or stage.to_come for tape in self.tapes for stage in tape.stages)

    @property
    def grows_bytes(self) -> int:
        """What the run takes of all disks at the most, beside what is there."""
        return sum(space.peak_bytes - space.used_bytes for space in self.spaces)

    def finish(self, now: datetime) -> datetime:
        """When it is done if it starts now."""
        return now + timedelta(seconds=self.total_s)

    def to_plain(self, now: datetime) -> dict[str, Any]:
        """For JSON."""
        return {"made": now.isoformat(), "finish": self.finish(now).isoformat(), **asdict(self)}


def check_budget(
    workflow: Any,
    lookups: Mapping[str, TapeState],
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
    from .snakemake_jobs import Run, of_dag
    from .tasks import missing
    from .text_view import basis, duration

    jobs = of_dag(workflow.dag)
    for tape in later:
        jobs += missing(lookups[tape], config["tape"]["container"], _conditions(lookups[tape], config, enhance))
    if not any(job.is_to_do and job.tape in lookups for job in jobs):
        return
    plan = estimate(jobs, lookups, enhance, config, Run.of(workflow))
    excess = []
    if hours is not None and plan.total_s > hours * 3600:
        excess.append(f"it would take {duration(plan.total_s)}, and it may {hours:g} h (budget: hours)")
    if gb is not None and plan.grows_bytes > gb * GB:
        excess.append(f"it would need {format_size(plan.grows_bytes)} of disk, and it may {gb:g} GB (budget: gb)")
    if excess:
        raise FatalError(
            f"this run is not started, it exceeds the budget: {'; '.join(excess)}. {basis(plan)}",
            remedy="`snakemake show_plan` shows what needs how much; name fewer tapes (results/<tape>/<tape>.mkv), "
            "choose other settings, or raise the budget in the config",
        )


def _conditions(lookup: TapeState, config: Mapping[str, Any], enhance: SceneSettings) -> set[Condition]:
    """The settings of a tape that give it jobs which not every tape has."""
    found: set[Condition] = set()
    if lookup.row.language == "auto":
        found.add("auto_language")
    if config["subtitles"]["translate"] and lookup.row.language != "en":
        found.add("translation")
    if needs_choice(EnhanceSettings(**enhance.of_tape)):
        found.add("hardware_encoder")
    return found

"""The jobs of a plan: what Snakemake itself says is to do. Nothing here decides whether a file is up to date."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tapemill.core.errors import FatalError
from tapemill.core.rule_catalog import OTHER, RULES, scene_rules, stage_of, tape_rules
from tapemill.snakemake_compat.dag_api import build_dag, scheduler_settings_of, workflow_of
from tapemill.workflow import tape_queue
from tapemill.workflow.tape import TapeState

Key = tuple[str, str, str]
"""Rule, tape and scene; empty where the job has none."""


@dataclass(frozen=True)
class PlannedJob:
    """A job of Snakemake's graph."""

    rule: str
    stage: str
    """The file of its rule."""
    tape: str
    """Empty for jobs of no tape."""
    scene: str
    """Empty for jobs of a whole tape."""
    is_to_do: bool

    @property
    def key(self) -> Key:
        """Tells it from all others."""
        return self.rule, self.tape, self.scene


@dataclass(frozen=True)
class Run:
    """How a run was started, as far as it decides what is to do and how fast."""

    snakefile: str
    triggers: Sequence[str]
    """Rerun triggers."""
    cores: int
    lanes: Mapping[str, int]
    """Jobs that each lane takes: one runs, the others wait."""
    device: str = "cpu"
    """Kind of the lanes."""

    @classmethod
    def of(cls, workflow: Any) -> Self:
        """From Snakemake's workflow once its scheduler is there: by then a profile's lanes are declared, too."""
        resources = workflow.scheduler.global_resources
        lanes = {name: most for name, most in resources.items() if name[:3] == "gpu" and name[3:].isdecimal() and most}
        settings = scheduler_settings_of(workflow.scheduler)
        return cls(
            snakefile=str(workflow.main_snakefile),
            triggers=sorted(trigger.name for trigger in workflow.rerun_triggers),
            # On a cluster cores are without limit, and jobs are counted instead.
            cores=min(resources["_cores"], resources["_nodes"]),
            lanes=dict(sorted(lanes.items(), key=lambda lane: int(lane[0][3:]))),
            device=str(getattr(settings, "device", "cpu")),
        )

    @property
    def has_cards(self) -> bool:
        """Whether jobs that ask for a card get one. Lanes of kind `cpu` are none."""
        return bool(self.lanes) and self.device != "cpu"


def of_dag(dag: Any) -> list[PlannedJob]:
    """All jobs of Snakemake's graph that do something.

    Resources are not looked at: Snakemake would remember them as they are before a job's input is there.
    """
    return [
        PlannedJob(
            rule=job.rule.name,
            stage=Path(job.rule.snakefile).stem,
            tape=job.wildcards.get("tape", ""),
            scene=job.wildcards.get("scene", ""),
            is_to_do=dag.needrun(job),
        )
        for job in dag.jobs
        if not job.rule.norun
    ]


def of_target(run: Run, config: Mapping[str, Any], target: str = "all") -> list[PlannedJob]:
    """The jobs of another target than this run's: Snakemake plans it here, as `-n` would, and nothing is run.

    An archive is planned in parts. Of tapes that are finished and unchanged all jobs are done. `config` is complete.
    Raises FatalError with Snakemake's reason if it cannot be planned.
    """
    with _planned(run, config, target) as workflow:
        queue = workflow.globals["QUEUE"]
        unchanged, batches = queue.unchanged(), queue.batches()
        if not unchanged and len(batches) == 1:
            return of_dag(build_dag(workflow))
    jobs = {job.key: job for tape in unchanged for job in done(queue.tapes[tape])}
    for batch in filter(None, batches):
        with tape_queue.restrict_to(batch), _planned(run, config, target) as workflow:
            jobs |= {job.key: job for job in of_dag(build_dag(workflow))}
    return list(jobs.values())


@contextmanager
def _planned(run: Run, config: Mapping[str, Any], target: str) -> Iterator[Any]:
    """Snakemake's workflow with the Snakefile read, to be planned in the block."""
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.enums import RerunTrigger
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    quiet = OutputSettings(dryrun=True, enable_file_logging=False, log_level_override=logging.WARNING)
    triggers = {RerunTrigger[name] for name in run.triggers}
    with SnakemakeApi(quiet) as api:
        try:
            planned = api.workflow(
                resource_settings=ResourceSettings(cores=run.cores),
                config_settings=ConfigSettings(config=dict(config)),
                snakefile=Path(run.snakefile),
            )
            planned.dag(DAGSettings(targets={target}, rerun_triggers=triggers, force_incomplete=True))
            yield workflow_of(planned)
        except WorkflowError as error:
            raise FatalError(
                f"there is no plan for {target}: {error}",
                remedy=f"`snakemake {target} -n` fails the same way; fix that first",
            ) from error


def done(lookup: TapeState) -> Iterator[PlannedJob]:
    """The jobs of a tape for which there is nothing to do, by what they have left.

    Checkpoints are left out, as Snakemake drops them from its graph.
    """
    tape, folder = lookup.row.tape, lookup.paths.folder

    def is_done(rule: str) -> bool:
        outputs = (output.format(tape=tape, container="*") for output in RULES[rule].outputs)
        return all(any(folder.glob(output)) for output in outputs)

    rules = [rule for rule in tape_rules() if not RULES[rule].is_checkpoint]
    # A tape is finished: what may have no job has one if its output is there.
    rules = [rule for rule in rules if (not RULES[rule].condition and stage_of(rule) != OTHER) or is_done(rule)]
    for rule in rules:
        yield PlannedJob(rule, _file_of(rule), tape, "", is_to_do=False)
    of_scenes = [rule for rule in scene_rules() if any(rule in scene_rules(of_tape) for of_tape in rules)]
    for scene in lookup.scenes(lookup.scene_table):
        for rule in of_scenes:
            yield PlannedJob(rule, stage_of(rule), tape, scene, is_to_do=False)


def _file_of(rule: str) -> str:
    """The name of the rule's file: its stage, or that of the report."""
    return "report" if stage_of(rule) == OTHER else stage_of(rule)

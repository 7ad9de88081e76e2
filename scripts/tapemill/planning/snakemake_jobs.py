"""Jobs of a plan, as Snakemake plans them. Whether a file is up to date is decided by Snakemake alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapemill.core.errors import FatalError
from tapemill.core.rule_catalog import OTHER, RULES, scene_rules, stage_of, stage_rules, tape_rules
from tapemill.snakemake_compat.dag_api import build_dag, workflow_of
from tapemill.workflow import tape_queue
from tapemill.workflow.benchmarks import JobKey
from tapemill.workflow.run_options import RunOptions
from tapemill.workflow.tape import TapeState


@dataclass(frozen=True)
class PlannedJob:
    """A job of Snakemake's graph."""

    rule: str
    stage: str
    """Name of its rule's file."""
    tape: str
    """Empty for jobs of no tape."""
    scene: str
    """Empty for jobs of a whole tape."""
    is_to_do: bool

    @property
    def key(self) -> JobKey:
        """Unique key of the job."""
        return self.rule, self.tape, self.scene


def jobs_of_dag(dag: Any) -> list[PlannedJob]:
    """Return all jobs of Snakemake's graph that run something.

    Resources are not evaluated: Snakemake would cache their values from before a job's input exists.
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


def plan_target(run: RunOptions, config: Mapping[str, Any], target: str = "all") -> list[PlannedJob]:
    """Plan another target than this run's, as `-n` does, and return its jobs. Nothing is run.

    An archive is planned in batches. All jobs of finished, unchanged tapes are done. `config` is complete. Raises
    FatalError with Snakemake's reason if the target cannot be planned.
    """
    with _planned_workflow(run, config, target) as workflow:
        queue = workflow.globals["QUEUE"]
        unchanged, batches = queue.unchanged(), queue.batches()
        if not unchanged and len(batches) == 1:
            return jobs_of_dag(build_dag(workflow))
    jobs = {job.key: job for tape in unchanged for job in finished_jobs(queue.tapes[tape])}
    for batch in filter(None, batches):
        with tape_queue.restrict_to(batch), _planned_workflow(run, config, target) as workflow:
            jobs |= {job.key: job for job in jobs_of_dag(build_dag(workflow))}
    return list(jobs.values())


@contextmanager
def _planned_workflow(run: RunOptions, config: Mapping[str, Any], target: str) -> Iterator[Any]:
    """Return Snakemake's workflow with the Snakefile read, to be planned in the block."""
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
                remedy=f"`snakemake {target} -n` shows the same error; fix that first",
            ) from error


def finished_jobs(state: TapeState) -> Iterator[PlannedJob]:
    """Return the jobs of a tape with nothing to do, by the files they left.

    Checkpoints are omitted, because Snakemake drops finished ones from its graph.
    """
    tape, paths = state.row.tape, state.paths

    def has_outputs(rule: str) -> bool:
        outputs = [output.format(tape=tape, container="*") for output in RULES[rule].outputs]
        return bool(outputs) and all(any(paths.folder.glob(output)) for output in outputs)

    # The tape is finished: a rule that has no job for some tapes has one if its output exists.
    certain = set(stage_rules(()))
    rules = [rule for rule in tape_rules() if not RULES[rule].is_checkpoint]
    rules = [rule for rule in rules if rule in certain or has_outputs(rule)]
    for rule in rules:
        yield PlannedJob(rule, _file_of(rule), tape, "", is_to_do=False)
    of_scenes = [rule for rule in scene_rules() if any(rule in scene_rules(of_tape) for of_tape in rules)]
    for scene in state.scenes(state.scene_table):
        for rule in of_scenes:
            yield PlannedJob(rule, stage_of(rule), tape, scene, is_to_do=False)


def _file_of(rule: str) -> str:
    """Name of the rule's file: its stage, or `report`."""
    return "report" if stage_of(rule) == OTHER else stage_of(rule)

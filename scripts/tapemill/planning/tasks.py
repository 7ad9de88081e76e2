"""Tasks of a plan: jobs to do, estimated jobs after a checkpoint, and the dependencies of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tapemill.core.result_paths import RESULTS, TapePaths
from tapemill.core.rule_catalog import (
    CHECKPOINTS,
    RULES,
    Condition,
    RuleInfo,
    outputs_that_settle,
    rule_info,
    scene_rules,
    stage_of,
    stage_rules,
    tape_rules,
)
from tapemill.core.timing import evenly_spaced
from tapemill.workflow.benchmarks import JobKey
from tapemill.workflow.tape import TapeState
from tapemill.workflow.workload import TapeLoad

from .snakemake_jobs import PlannedJob

DEMO: Final = ("make_demo_capture", "", "")


@dataclass(frozen=True)
class Task:
    """A job to do, with the facts on which its time depends."""

    rule: str
    stage: str
    tape: str
    scene: str
    units: float
    """Work in the unit of the rule."""
    is_estimate: bool = False
    """Whether Snakemake does not know it yet, because its checkpoint has not run."""
    after: tuple[JobKey, ...] = field(default=(), repr=False)

    @property
    def key(self) -> JobKey:
        """Unique key of the task."""
        return self.rule, self.tape, self.scene

    @property
    def info(self) -> RuleInfo:
        """Row of its rule in the catalog."""
        return rule_info(self.rule)


def tasks_of(
    jobs: Sequence[PlannedJob], loads: Mapping[str, TapeLoad], *, language_scenes: int, results: Path = RESULTS
) -> list[Task]:
    """Return all tasks. `language_scenes` is the number of scenes that vote on the language of a tape.

    After a checkpoint that has not run, a scene counts as to do if its output does not exist. Whether an existing
    output is up to date is known only then.
    """
    to_do = [job for job in jobs if job.is_to_do]
    found = [Task(job.rule, job.stage, job.tape, job.scene, _units(job.key, loads)) for job in to_do]
    for tape, load in loads.items():
        rules = {job.rule for job in to_do if job.tape == tape and not job.scene}
        known = {job.key for job in jobs if job.tape == tape}
        found += (
            task for task in _estimated_tasks(tape, load, rules, TapePaths.of(tape, results)) if task.key not in known
        )
    return list(_with_dependencies(found, language_scenes))


def finished_checkpoints(
    jobs: Sequence[PlannedJob], tapes: Iterable[str], results: Path = RESULTS
) -> Iterator[PlannedJob]:
    """Return finished checkpoints, which Snakemake drops from its graph."""
    there = {job.key for job in jobs}
    for tape in tapes:
        for rule in sorted(CHECKPOINTS):
            outputs = RULES[rule].outputs
            if (rule, tape, "") not in there and all((results / tape / output).exists() for output in outputs):
                yield PlannedJob(rule, stage_of(rule), tape, "", is_to_do=False)


def missing_jobs(state: TapeState, container: str, conditions: Collection[Condition] = ()) -> list[PlannedJob]:
    """Return the jobs of missing outputs of a tape that is in no plan yet, without asking Snakemake.

    `conditions` are those that its settings fulfil. Snakemake may find more to do after a change of settings. If the
    scenes of the tape are not known, only jobs of the whole tape are returned.
    """
    tape = state.row.tape
    if state.paths.tape(container).exists():
        return []

    def exists(output: str, scene: str = "") -> bool:
        return state.paths.path(output, scene=scene, container=container).exists()

    rules = list(stage_rules(conditions))
    if state.is_folder:
        rules.remove("detect_scenes")
    # The provenance of a tape is that of its file: with a new one it is written anew.
    found = [
        (rule, "")
        for rule in rules
        if rule == "write_provenance" or not all(exists(output) for output in RULES[rule].outputs)
    ]
    if state.is_folder or state.paths.scene_table.exists():
        scenes = list(state.folder if state.is_folder else state.scenes(state.scene_table))
        found += _missing_scene_jobs(rules, scenes, exists)
    return [PlannedJob(rule, stage_of(rule), tape, scene, is_to_do=True) for rule, scene in found]


def _missing_scene_jobs(
    rules: Iterable[str], scenes: Sequence[str], exists: Callable[[str, str], bool]
) -> list[tuple[str, str]]:
    """Rule and scene of each job that these rules of the tape need.

    `exists` takes the pattern of an output and a scene.
    """
    found: dict[tuple[str, str], None] = {}
    for of_tape in rules:
        for rule in scene_rules(of_tape):
            outputs = outputs_that_settle(rule, of_tape)
            missing = (scene for scene in scenes if not any(exists(output, scene) for output in outputs))
            found |= dict.fromkeys((rule, scene) for scene in missing)
    return list(found)


def _estimated_tasks(tape: str, load: TapeLoad, rules: set[str], paths: TapePaths) -> Iterator[Task]:
    """Tasks that Snakemake does not know before the scenes are detected."""
    if "detect_scenes" not in rules:
        return

    def exists(output: str, scene: str) -> bool:
        return load.are_scenes_known and paths.path(output, scene=scene).exists()

    of_tape = [rule for rule in tape_rules() if rule in rules]
    for rule, scene in _missing_scene_jobs(of_tape, [scene.id for scene in load.scenes], exists):
        units = _units((rule, tape, scene), {tape: load})
        yield Task(rule, stage_of(rule), tape, scene, units, is_estimate=True)


def _units(key: JobKey, loads: Mapping[str, TapeLoad]) -> float:
    rule, tape, scene = key
    if tape not in loads:
        return 0.0
    return loads[tape].units(rule_info(rule).unit, loads[tape].video_of(scene))


def _with_dependencies(tasks: Iterable[Task], language_scenes: int) -> Iterator[Task]:
    """Return the tasks, each with its dependencies."""
    all_tasks = list(tasks)
    there = {task.key for task in all_tasks}
    of_rule: dict[tuple[str, str], list[JobKey]] = {}
    for task in all_tasks:
        of_rule.setdefault((task.rule, task.tape), []).append(task.key)
    for task in all_tasks:
        after: list[JobKey] = [DEMO] if DEMO in there and task.rule == "probe_capture" else []
        for rule in task.info.after:
            single = (rule, task.tape, task.scene)
            keys = [single] if task.scene and single in there else of_rule.get((rule, task.tape), [])
            if rule == "extract_audio" and task.rule == "detect_language":
                witnesses = set(evenly_spaced([scene for _, _, scene in keys], language_scenes))
                keys = [key for key in keys if key[2] in witnesses]
            # A scene does not depend on another one.
            after += (key for key in keys if not (task.scene and key[2] and key[2] != task.scene))
        yield replace(task, after=tuple(after))

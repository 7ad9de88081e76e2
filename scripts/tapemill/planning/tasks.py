"""From jobs to tasks: the jobs that are to do, those that will turn up after a checkpoint, and what each waits for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tapemill.core.result_paths import RESULTS
from tapemill.core.rule_catalog import (
    CHECKPOINTS,
    OTHER,
    RULES,
    Condition,
    RuleInfo,
    outputs_that_settle,
    rule_info,
    scene_rules,
    stage_of,
    tape_rules,
)
from tapemill.core.timing import evenly_spaced
from tapemill.workflow.tape import TapeState

from .snakemake_jobs import Key, PlannedJob
from .workload import TapeLoad

DEMO: Final = ("make_demo_capture", "", "")


@dataclass(frozen=True)
class Task:
    """A job that is to do, with what its time depends on."""

    rule: str
    stage: str
    tape: str
    scene: str
    units: float
    """As the rule's unit says."""
    is_estimate: bool = False
    """Whether Snakemake does not know of it yet: it follows from a checkpoint that has not run."""
    after: tuple[Key, ...] = field(default=(), repr=False)

    @property
    def key(self) -> Key:
        """Tells it from all others."""
        return self.rule, self.tape, self.scene

    @property
    def info(self) -> RuleInfo:
        """What is known of its rule."""
        return rule_info(self.rule)


def tasks_of(
    jobs: Sequence[PlannedJob], loads: Mapping[str, TapeLoad], *, language_scenes: int, results: Path = RESULTS
) -> list[Task]:
    """Everything that is to do. `language_scenes` is how many scenes vote on the language of a tape.

    After a checkpoint that is still to run, a scene counts as to do if what it makes is not there. Whether what is
    there can stay is known only then.
    """
    to_do = [job for job in jobs if job.is_to_do]
    found = [Task(job.rule, job.stage, job.tape, job.scene, _units(job.key, loads)) for job in to_do]
    for tape, load in loads.items():
        rules = {job.rule for job in to_do if job.tape == tape and not job.scene}
        known = {job.key for job in jobs if job.tape == tape}
        found += (task for task in _to_come(tape, load, rules, results / tape) if task.key not in known)
    return list(_in_order(found, language_scenes))


def passed(jobs: Sequence[PlannedJob], tapes: Iterable[str], results: Path = RESULTS) -> Iterator[PlannedJob]:
    """Checkpoints that are done: Snakemake drops them from its graph."""
    there = {job.key for job in jobs}
    for tape in tapes:
        for rule in sorted(CHECKPOINTS):
            outputs = RULES[rule].outputs
            if (rule, tape, "") not in there and all((results / tape / output).exists() for output in outputs):
                yield PlannedJob(rule, stage_of(rule), tape, "", is_to_do=False)


def missing(lookup: TapeState, container: str, conditions: Collection[Condition] = ()) -> list[PlannedJob]:
    """What a tape lacks, as jobs, without asking Snakemake: for a tape that is in no plan yet.

    `conditions` are those that its settings fulfil. Snakemake may find more to do, where a setting changed. Of a tape
    whose scenes are not known, its own jobs alone.
    """
    tape = lookup.row.tape
    if lookup.paths.tape(container).exists():
        return []

    def is_missing(output: str, scene: str = "") -> bool:
        return not lookup.paths.path(output, scene=scene, container=container).exists()

    wanted = [rule for rule in tape_rules() if RULES[rule].condition in ("", *conditions) and stage_of(rule) != OTHER]
    if lookup.is_folder:
        wanted.remove("detect_scenes")
    # The provenance of a tape is that of its file: with a new one it is written anew.
    found = [(rule, "") for rule in wanted if rule == "write_provenance" or any(map(is_missing, RULES[rule].outputs))]
    if lookup.is_folder or lookup.paths.scene_table.exists():
        scenes = list(lookup.folder if lookup.is_folder else lookup.scenes(lookup.scene_table))
        for of_tape in wanted:
            for rule in scene_rules(of_tape):
                outputs = outputs_that_settle(rule, of_tape)
                found += ((rule, s) for s in scenes if all(is_missing(output, s) for output in outputs))
    return [PlannedJob(rule, stage_of(rule), tape, scene, is_to_do=True) for rule, scene in dict.fromkeys(found)]


def _to_come(tape: str, load: TapeLoad, rules: set[str], folder: Path) -> Iterator[Task]:
    """What Snakemake cannot know before the scenes are found."""
    found: set[Key] = set()
    for of_tape in tape_rules() if "detect_scenes" in rules else ():
        for rule in scene_rules(of_tape) if of_tape in rules else ():
            files = [output.format(tape=tape, scene="{scene}") for output in outputs_that_settle(rule, of_tape)]
            for scene in load.scenes:
                key = (rule, tape, scene.id)
                paths = (folder / file.format(scene=scene.id) for file in files)
                is_done = load.are_scenes_known and any(path.exists() for path in paths)
                if key not in found and not is_done:
                    found.add(key)
                    yield Task(rule, stage_of(rule), tape, scene.id, _units(key, {tape: load}), is_estimate=True)


def _units(key: Key, loads: Mapping[str, TapeLoad]) -> float:
    rule, tape, scene = key
    if tape not in loads:
        return 0.0
    return loads[tape].units(rule_info(rule).unit, loads[tape].video_of(scene))


def _in_order(tasks: Iterable[Task], language_scenes: int) -> Iterator[Task]:
    """The tasks, each with what it waits for."""
    all_tasks = list(tasks)
    there = {task.key for task in all_tasks}
    of_rule: dict[tuple[str, str], list[Key]] = {}
    for task in all_tasks:
        of_rule.setdefault((task.rule, task.tape), []).append(task.key)
    for task in all_tasks:
        after: list[Key] = [DEMO] if DEMO in there and task.rule == "probe_capture" else []
        for rule in task.info.after:
            single = (rule, task.tape, task.scene)
            keys = [single] if task.scene and single in there else of_rule.get((rule, task.tape), [])
            if rule == "extract_audio" and task.rule == "detect_language":
                witnesses = set(evenly_spaced([scene for _, _, scene in keys], language_scenes))
                keys = [key for key in keys if key[2] in witnesses]
            # A scene never waits for another one.
            after += (key for key in keys if not (task.scene and key[2] and key[2] != task.scene))
        yield replace(task, after=tuple(after))

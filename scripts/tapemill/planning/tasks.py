"""From jobs to tasks: the jobs that are to do, those that will turn up after a checkpoint, and what each waits for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tapemill.core.rule_catalog import stage_of
from tapemill.core.timing import evenly_spaced
from tapemill.workflow.tape import TapeLookup

from .snakemake_jobs import Key, PlannedJob
from .workload import TapeLoad, Unit

DEMO: Final = ("make_demo_capture", "", "")


@dataclass(frozen=True)
class RuleFacts:
    """What planning knows of a rule."""

    unit: Unit
    asks_for_card: bool = False
    priority: int = 0
    after: tuple[str, ...] = ()
    """Rules it waits for: of the same scene, of the tape, or, for a rule of the tape, of all its scenes."""


RULES: Final[Mapping[str, RuleFacts]] = {
    "probe_capture": RuleFacts("video"),
    "hash_capture": RuleFacts("video", priority=-1, after=("probe_capture",)),
    "detect_scenes": RuleFacts("video", after=("probe_capture",)),
    "cut_scene": RuleFacts("video", after=("probe_capture", "detect_scenes")),
    "extract_audio": RuleFacts("sound", after=("probe_capture", "detect_scenes")),
    "clean_sound": RuleFacts("sound", after=("probe_capture",)),
    "detect_language": RuleFacts("once", asks_for_card=True, after=("extract_audio",)),
    "transcribe_scene": RuleFacts("sound", asks_for_card=True, after=("extract_audio", "detect_language")),
    "translate_scene": RuleFacts("sound", asks_for_card=True, after=("extract_audio", "detect_language")),
    "join_subtitles": RuleFacts("sound", after=("probe_capture", "transcribe_scene", "detect_language")),
    "join_translations": RuleFacts("sound", after=("probe_capture", "translate_scene", "detect_language")),
    "choose_encoder": RuleFacts("once", asks_for_card=True, after=("probe_capture",)),
    "enhance_scene": RuleFacts("pictures", asks_for_card=True, priority=1, after=("cut_scene", "choose_encoder")),
    "mux_tape": RuleFacts("sound", after=("enhance_scene", "clean_sound", "join_subtitles", "join_translations")),
    "write_provenance": RuleFacts("once", after=("mux_tape", "hash_capture")),
}
OTHER: Final = RuleFacts("once", after=("mux_tape",))
"""A rule that is not named above: of a finished tape."""

# Rules of a tape, with the rules of its scenes that come before them; these have nothing to do if one of the files is
# there.
SCENE_RULES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "mux_tape": {"cut_scene": ("enhanced/{}.mkv",), "enhance_scene": ("enhanced/{}.mkv",)},
    "join_subtitles": {
        "extract_audio": ("audio/{}.wav", "subtitles/{}.srt"),
        "transcribe_scene": ("subtitles/{}.srt",),
    },
    "join_translations": {
        "extract_audio": ("audio/{}.wav", "translated/{}.srt"),
        "translate_scene": ("translated/{}.srt",),
    },
}
# Checkpoints, by what they leave.
LEFT_BY: Final[Mapping[str, str]] = {"detect_scenes": "scenes.tsv", "detect_language": "language.json"}


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
    def facts(self) -> RuleFacts:
        """What is known of its rule."""
        return RULES.get(self.rule, OTHER)


def tasks_of(
    jobs: Sequence[PlannedJob], loads: Mapping[str, TapeLoad], *, language_scenes: int, results: Path = Path("results")
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


def passed(jobs: Sequence[PlannedJob], tapes: Iterable[str], results: Path = Path("results")) -> Iterator[PlannedJob]:
    """Checkpoints that are done: Snakemake drops them from its graph."""
    there = {job.key for job in jobs}
    for tape in tapes:
        for rule, left in LEFT_BY.items():
            if (rule, tape, "") not in there and (results / tape / left).exists():
                yield PlannedJob(rule, stage_of(rule), tape, "", is_to_do=False)


def missing(lookup: TapeLookup, container: str) -> list[PlannedJob]:
    """What a tape lacks, as jobs, without asking Snakemake: for a tape that is in no plan yet.

    Snakemake may find more to do, where a setting changed. Of a tape whose scenes are not known, its own jobs alone.
    """
    tape, folder = lookup.row.tape, lookup.facts_path.parent
    if (folder / f"{tape}.{container}").exists():
        return []
    left = {"probe_capture": "capture.json", "detect_scenes": LEFT_BY["detect_scenes"], "clean_sound": "sound.mka"}
    left |= {"hash_capture": "capture_sha256.json", "join_subtitles": f"{tape}.srt"}
    table = folder / left["detect_scenes"]
    if lookup.is_folder:
        del left["detect_scenes"]
    found = [(rule, "") for rule, name in left.items() if not (folder / name).exists()]
    found += [("mux_tape", ""), ("write_provenance", "")]
    if lookup.is_folder or table.exists():
        scenes = list(lookup.folder if lookup.is_folder else lookup.scenes(table))
        for of_tape in ("mux_tape", "join_subtitles"):
            for rule, files in SCENE_RULES[of_tape].items():
                found += [(rule, s) for s in scenes if not any((folder / file.format(s)).exists() for file in files)]
    return [PlannedJob(rule, stage_of(rule), tape, scene, is_to_do=True) for rule, scene in found]


def _to_come(tape: str, load: TapeLoad, rules: set[str], folder: Path) -> Iterator[Task]:
    """What Snakemake cannot know before the scenes are found."""
    told: set[Key] = set()
    for of_tape, of_scenes in SCENE_RULES.items():
        for rule, files in of_scenes.items() if {"detect_scenes", of_tape} <= rules else ():
            for scene in load.scenes:
                key = (rule, tape, scene.id)
                is_done = load.are_scenes_known and any((folder / file.format(scene.id)).exists() for file in files)
                if key not in told and not is_done:
                    told.add(key)
                    yield Task(rule, stage_of(rule), tape, scene.id, _units(key, {tape: load}), is_estimate=True)


def _units(key: Key, loads: Mapping[str, TapeLoad]) -> float:
    rule, tape, scene = key
    if tape not in loads:
        return 0.0
    return loads[tape].units(RULES.get(rule, OTHER).unit, loads[tape].video_of(scene))


def _in_order(tasks: Iterable[Task], language_scenes: int) -> Iterator[Task]:
    """The tasks, each with what it waits for."""
    all_tasks = list(tasks)
    there = {task.key for task in all_tasks}
    of_rule: dict[tuple[str, str], list[Key]] = {}
    for task in all_tasks:
        of_rule.setdefault((task.rule, task.tape), []).append(task.key)
    for task in all_tasks:
        after: list[Key] = [DEMO] if DEMO in there and task.rule == "probe_capture" else []
        for rule in task.facts.after:
            single = (rule, task.tape, task.scene)
            keys = [single] if task.scene and single in there else of_rule.get((rule, task.tape), [])
            if rule == "extract_audio" and task.rule == "detect_language":
                witnesses = set(evenly_spaced([scene for _, _, scene in keys], language_scenes))
                keys = [key for key in keys if key[2] in witnesses]
            # A scene never waits for another one.
            after += (key for key in keys if not (task.scene and key[2] and key[2] != task.scene))
        yield replace(task, after=tuple(after))

"""Catalog of the rules that work on tapes: one row a rule.

Status, plan, disk usage, metrics, report and provenance take from here what they know of a rule. A rule without a row
is no work on a tape: fetching models, the demo, cleaning up. A test compares the rows with the rule files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from . import result_paths as paths

Unit = Literal["video", "audio", "frames", "once"]
"""Measure of a job's work: seconds of 576i video, seconds of audio, frames of 576i that it writes, none."""
Condition = Literal["", "auto_language", "translation", "hardware_encoder", "unknown_capture"]
"""Setting or state without which a rule has no job; empty if it has one for each tape."""
DiskUse = Literal["cut", "speech_audio", "tape_audio", "clip", "tape"]
"""Kind of file by its size."""

OTHER: Final = "other"
"""Stage of rules that are no stage's: report, models, demo, cleaning up."""


@dataclass(frozen=True)
class RuleInfo:
    """What is known of a rule."""

    stage: str
    """Name of its file under rules/, or `OTHER`."""
    unit: Unit = "once"
    after: tuple[str, ...] = ()
    """Rules it waits for: of the same scene, of the tape, or, for a rule of the tape, of all its scenes."""
    outputs: tuple[str, ...] = ()
    """What it leaves in results/{tape}/, with {tape}, {scene} and {container} to fill in. No temporary files."""
    is_per_scene: bool = False
    is_checkpoint: bool = False
    """Whether there may be more jobs after it than were planned."""
    uses_gpu: bool = False
    priority: int = 0
    condition: Condition = ""
    reads_capture: bool = False
    """Whether it reads the whole capture and does little else."""
    disk_use: tuple[DiskUse, ...] = ()
    """Files that a run makes if this rule is in its plan."""
    fixed_s: float = 1.0
    """Seconds that a job takes on one core before its first unit, where nothing was measured."""
    s_per_unit: float = 0.0
    """Seconds a unit. Both are 0 where a model or a network decides (`workflow.cost_model`)."""


RULES: Final[Mapping[str, RuleInfo]] = MappingProxyType(
    {
        "probe_capture": RuleInfo(
            "capture", "video", outputs=(paths.CAPTURE_RECORD,), reads_capture=True, fixed_s=1.0, s_per_unit=0.07
        ),
        "hash_capture": RuleInfo(
            "capture",
            "video",
            after=("probe_capture",),
            outputs=(paths.CAPTURE_CHECKSUM,),
            priority=-1,
            reads_capture=True,
            fixed_s=0.4,
            s_per_unit=0.02,
        ),
        "check_capture": RuleInfo(
            "capture",
            "video",
            after=("hash_capture",),
            priority=-1,
            condition="unknown_capture",
            reads_capture=True,
            fixed_s=0.4,
            s_per_unit=0.02,
        ),
        "detect_scenes": RuleInfo(
            "scenes",
            "video",
            after=("probe_capture",),
            outputs=(paths.SCENE_TABLE,),
            is_checkpoint=True,
            reads_capture=True,
            fixed_s=0.5,
            s_per_unit=0.22,
        ),
        "cut_scene": RuleInfo(
            "scenes",
            "video",
            after=("probe_capture", "detect_scenes"),
            is_per_scene=True,
            fixed_s=1.0,
            s_per_unit=0.57,
        ),
        "extract_audio": RuleInfo(
            "audio",
            "audio",
            after=("probe_capture", "detect_scenes"),
            outputs=(paths.SPEECH_AUDIO,),
            is_per_scene=True,
            fixed_s=0.4,
            s_per_unit=0.003,
        ),
        "clean_sound": RuleInfo(
            "audio",
            "audio",
            after=("probe_capture",),
            outputs=(paths.TAPE_AUDIO,),
            reads_capture=True,
            disk_use=("tape_audio",),
            fixed_s=0.4,
            s_per_unit=0.005,
        ),
        "detect_language": RuleInfo(
            "subtitles",
            after=("extract_audio",),
            outputs=(paths.LANGUAGE,),
            is_checkpoint=True,
            uses_gpu=True,
            condition="auto_language",
        ),
        "transcribe_scene": RuleInfo(
            "subtitles",
            "audio",
            after=("extract_audio", "detect_language"),
            outputs=(paths.SUBTITLES,),
            is_per_scene=True,
            uses_gpu=True,
        ),
        "translate_scene": RuleInfo(
            "subtitles",
            "audio",
            after=("extract_audio", "detect_language"),
            outputs=(paths.TRANSLATION,),
            is_per_scene=True,
            uses_gpu=True,
            condition="translation",
        ),
        "join_subtitles": RuleInfo(
            "subtitles",
            "audio",
            after=("probe_capture", "transcribe_scene", "detect_language"),
            outputs=(paths.TAPE_SUBTITLES,),
            disk_use=("speech_audio",),
            fixed_s=0.3,
        ),
        "join_translations": RuleInfo(
            "subtitles",
            "audio",
            after=("probe_capture", "translate_scene", "detect_language"),
            outputs=(paths.TAPE_TRANSLATION,),
            condition="translation",
            fixed_s=0.3,
        ),
        "choose_encoder": RuleInfo(
            "enhance",
            after=("probe_capture",),
            outputs=(paths.ENCODER,),
            uses_gpu=True,
            condition="hardware_encoder",
            fixed_s=2.0,
        ),
        "enhance_scene": RuleInfo(
            "enhance",
            "frames",
            after=("cut_scene", "choose_encoder"),
            outputs=(paths.CLIP,),
            is_per_scene=True,
            uses_gpu=True,
            priority=1,
        ),
        "mux_tape": RuleInfo(
            "tape",
            "audio",
            after=("enhance_scene", "clean_sound", "join_subtitles", "join_translations"),
            outputs=(paths.TAPE,),
            reads_capture=True,
            disk_use=("clip", "tape"),
            fixed_s=0.5,
            s_per_unit=0.005,
        ),
        "write_provenance": RuleInfo("tape", after=("mux_tape", "hash_capture"), outputs=(paths.PROVENANCE,)),
        # 55 s for the demo tape of 60 s, most of it for stills, whose number does not depend on the tape.
        "sample_report_frames": RuleInfo(
            OTHER,
            "video",
            after=("mux_tape",),
            outputs=(paths.REPORT_SAMPLE,),
            reads_capture=True,
            fixed_s=60.0,
            s_per_unit=0.1,
        ),
        "render_tape_report": RuleInfo(
            OTHER,
            after=("sample_report_frames", "write_provenance"),
            outputs=(paths.TAPE_REPORT,),
        ),
    }
)
UNLISTED: Final = RuleInfo(OTHER, after=("mux_tape",))
"""A rule without a row: for planning, one of a finished tape."""

STAGES: Final = tuple(dict.fromkeys(row.stage for row in RULES.values() if row.stage != OTHER))
"""Stages in the order of data."""
CHECKPOINTS: Final = frozenset(rule for rule, row in RULES.items() if row.is_checkpoint)


def rule_info(rule: str) -> RuleInfo:
    """The row of a rule, or `UNLISTED`."""
    return RULES.get(rule, UNLISTED)


def stage_of(rule: str) -> str:
    """The stage of a rule."""
    return rule_info(rule).stage


def is_of_tape(rule: str) -> bool:
    """Whether the jobs of a rule belong to a tape."""
    return rule in RULES


def changes_results(rule: str) -> bool:
    """Whether a job of the rule writes something that the checksums of its tape cover, other than the checksums."""
    row = rule_info(rule)
    return bool(row.outputs) and row.stage != OTHER and rule != "write_provenance"


def tape_rules() -> Iterator[str]:
    """Rules with one job for a whole tape."""
    return (rule for rule, row in RULES.items() if not row.is_per_scene)


def stage_rules(conditions: Collection[Condition] | None = None) -> Iterator[str]:
    """Tape rules of stages: those with a job for each tape, and those under these conditions, by default under any."""
    for rule in tape_rules():
        row = RULES[rule]
        if row.stage != OTHER and (conditions is None or row.condition in ("", *conditions)):
            yield rule


def scene_rules(of_tape: str | None = None) -> Iterator[str]:
    """Rules with a job for each scene; only those that a rule of the tape waits for, if one is named."""
    if of_tape is None:
        yield from (rule for rule, row in RULES.items() if row.is_per_scene)
        return
    wanted = [rule for rule in RULES[of_tape].after if RULES[rule].is_per_scene]
    for rule in wanted:
        wanted += (each for each in RULES[rule].after if RULES[each].is_per_scene and each not in wanted)
    yield from (rule for rule in RULES if rule in wanted)


def outputs_that_settle(rule: str, of_tape: str) -> tuple[str, ...]:
    """Outputs of a scene; if one is there, `of_tape` needs no job of `rule`: its own, and those of rules after it."""
    later = [rule]
    for each in later:
        later += (other for other in scene_rules(of_tape) if each in RULES[other].after and other not in later)
    return tuple(output for each in later for output in RULES[each].outputs)

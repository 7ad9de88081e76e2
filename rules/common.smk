"""
What all files under rules/ share: the validated config and sheet, wildcard constraints, and functions that look things up.

Nothing here opens a medium, uses the network or writes: the Snakefile is parsed anew for every job.
Settings reach a job through its params, each stage's own section, plus the stage's RECIPE number. Raise that number when
the code of a stage changes what it makes and finished tapes should be made again.
"""

import sys
from functools import cache
from pathlib import Path

# The library beside the rules, and the demo beside the library, also where neither is installed.
sys.path[:0] = [str(Path(workflow.basedir) / "scripts"), str(workflow.basedir)]

from snakemake.exceptions import WorkflowError

from tapemill.enhance import EnhanceSettings, SceneSettings, needs_choice
from tapemill.core.errors import TapemillError
from tapemill.core.timing import evenly_spaced
from tapemill.workflow.job_params import Job, of_wildcards
from tapemill.models import find_model
from tapemill.config.schema import load_config
from tapemill.config.tape_sheet import load_sheet
from tapemill.planning.disk_usage import writes_mb
from tapemill.subtitles import read_language
from tapemill.workflow.tape import DEMO_CAPTURE, as_inputs, lookups

RECIPE = {
    "capture": 1,
    "scenes": 1,
    "audio": 1,
    "subtitles": 1,
    "enhance": 2,
    "tape": 1,
}

try:
    config.update(load_config(config))
    TAPES = lookups(load_sheet(Path(config["sheet"]), producible=[DEMO_CAPTURE]))
    SOURCES = {tape: as_inputs(lookup.files) for tape, lookup in TAPES.items()}
    ENHANCE = SceneSettings.planned(config["enhance"], list(TAPES))
    SPEECH_MODEL = find_model(config["subtitles"]["model"], {"speech"})
except TapemillError as error:
    raise WorkflowError(str(error)) from None

HARDWARE_ENCODER = needs_choice(EnhanceSettings(**ENHANCE.of_tape))
CARD_ENVIRONMENT = f"../envs/{dict(xpu='xpu', cuda='cuda').get(config['lanes']['device'], 'cpu')}.yaml"


wildcard_constraints:
    tape="|".join(TAPES) or "(?!)",
    scene=r"\d{7}",


# What a checkpoint has made it does not take back, and every param of every scene asks.
@cache
def scene_table(tape):
    """Where the scenes stand after the checkpoint; None for a folder of ready ones, which are known at once."""
    return None if TAPES[tape].is_folder else Path(checkpoints.detect_scenes.get(tape=tape).output.table)


def scene_ids(tape):
    return list(TAPES[tape].folder if TAPES[tape].is_folder else TAPES[tape].scenes(scene_table(tape)))


# Params functions: what a job depends on besides files. They take `wildcards` and nothing else: Snakemake does not remember
# params that are derived from input or resources, and a change of those would go unnoticed. While capture.json, an input
# of the job, is still to be made, they are put off.


def planned(wildcards):
    tape = wildcards.tape
    return Job(TAPES[tape], wildcards.get("scene"), lambda: scene_table(tape), ENHANCE)


def known(fact):
    """A params or input function: a fact of the job's tape or scene, by its name in `tapemill.workflow.job_params.Job`."""
    return of_wildcards(lambda wildcards: getattr(planned(wildcards), fact))


def expected(stage):
    """A resource function: seconds a job is expected to take on a card, for the order of jobs. Never a reason to rerun."""
    return of_wildcards(lambda wildcards: planned(wildcards).expected_s(stage, config["subtitles"]))


def writes(work):
    """A resource function: MB that a job writes; it begins only if the disk has room. Never a reason to rerun."""
    return lambda wildcards: writes_mb(planned(wildcards), work)


def from_sheet(column):
    return lambda wildcards: str(getattr(TAPES[wildcards.tape].row, column))


def language(wildcards):
    """The sheet's language of the tape, or what its scenes voted for. Every plan asks, so a missing model is found then."""
    speech_model(wildcards)
    stated = TAPES[wildcards.tape].row.language
    if stated != "auto":
        return stated
    return read_language(Path(checkpoints.detect_language.get(tape=wildcards.tape).output.language))


def subtitle_tracks(wildcards):
    """Language and title of each subtitle file. What is spoken in English needs no translation."""
    spoken, start = language(wildcards), f"results/{wildcards.tape}/{wildcards.tape}"
    foreign = config["subtitles"]["translate"] and spoken not in (None, "en")
    return {f"{start}.srt": [spoken or "", ""]} | ({f"{start}.en.srt": ["en", "English"]} if foreign else {})


def made_with(wildcards):
    """What the tape says of how it was made."""
    return planned(wildcards).made_with(config, SPEECH_MODEL.sha256, RECIPE)


def source_files(wildcards):
    return SOURCES[wildcards.tape]


def scene_source(wildcards):
    """The file that holds a scene. Never the scene table: its file time would redo every scene when a border moved."""
    return as_inputs([planned(wildcards).file])


def settled_language(wildcards):
    """No file: only waits for the vote, if there is one. A new vote with the same outcome transcribes nothing again."""
    language(wildcards)
    return []


def ready_facts(wildcards):
    """capture.json, for ready scenes only: there no checkpoint sees to it that the probe comes first."""
    return [] if scene_table(wildcards.tape) else str(TAPES[wildcards.tape].facts_path)


def of_each_scene(pattern):
    """An input function: `pattern` for every scene of the tape."""
    return lambda wildcards: [pattern.format(tape=wildcards.tape, scene=id) for id in scene_ids(wildcards.tape)]


def language_witnesses(wildcards):
    """Sound of some scenes, spread over the tape: enough to tell its language."""
    ids = evenly_spaced(scene_ids(wildcards.tape), config["subtitles"]["language_scenes"])
    return [f"results/{wildcards.tape}/audio/{id}.wav" for id in ids]


def speech_model(wildcards):
    file = SPEECH_MODEL.path
    if not file.is_file():
        raise WorkflowError(f"the speech model is not there: {file}\n  what to do: run `snakemake models` once")
    return str(file)

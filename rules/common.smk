"""
Names that all files under rules/ share: validated config and sheet, wildcard constraints, functions for inputs and params.
Nothing here opens media, uses the network or writes: the Snakefile is parsed anew for every job.
Settings reach a job through its params: its stage's section and RECIPE number (raise it to make finished tapes again).

TAPES                        state of each tape                                       here
ENHANCE                      section `enhance` by tape and scene                      here
SETTINGS                     these, and the rows of the tables that cannot be used    here
SPEECH_MODEL                 the Whisper model of the config                          here
of_job(JobParams.x)          a param: property x of the job's tape or scene           tapemill/workflow/job_params.py
CLUSTER_RESOURCES, in_group  memory, time and group of a job on a cluster             run.smk
PAGED, FINISHED              tapes with pages in the report; tapes that are finished  report.smk
QUEUE                        the tapes that `all` works on                            queue.smk
"""

import sys
from functools import cache
from pathlib import Path

# The library beside the rules, and the demo beside the library, also where neither is installed.
sys.path[:0] = [str(Path(workflow.basedir) / "scripts"), str(workflow.basedir)]

from snakemake.exceptions import WorkflowError

from tapemill.enhance import EnhanceSettings, needs_choice
from tapemill.core.errors import TapemillError
from tapemill.core.timing import evenly_spaced
from tapemill.workflow.job_costs import JobCosts
from tapemill.workflow.job_params import JobParams, params_function
from tapemill.config.schema import load_config, renamed_keys
from tapemill.planning.disk_usage import disk_mb
from tapemill.subtitles import read_language
from tapemill.workflow.settings import load_settings
from tapemill.workflow.tape import DEMO_CAPTURE

RECIPE = {"capture": 1, "scenes": 1, "audio": 1, "subtitles": 1, "enhance": 2, "tape": 1}

try:
    RENAMED_KEYS = renamed_keys(config)
    config.update(load_config(config))
    SETTINGS = load_settings(config)
except TapemillError as error:
    raise WorkflowError(str(error)) from None

TAPES, ENHANCE, SPEECH_MODEL = SETTINGS.tapes, SETTINGS.enhance, SETTINGS.speech_model

HARDWARE_ENCODER = needs_choice(EnhanceSettings(**ENHANCE.of_tape))
GPU_ENVIRONMENT = f"../envs/{dict(xpu='xpu', cuda='cuda', hip='rocm').get(config['lanes']['device'], 'cpu')}.yaml"


wildcard_constraints:
    tape="|".join(TAPES) or "(?!)",
    scene=r"\d{7}",


# Cached: a finished checkpoint does not change, and every param of every scene calls this.
@cache
def scene_table(tape):
    """Path of the scene table after the checkpoint; None for a folder of ready scenes."""
    return None if TAPES[tape].is_folder else Path(checkpoints.detect_scenes.get(tape=tape).output.table)


def scene_ids(tape):
    return list(TAPES[tape].folder if TAPES[tape].is_folder else TAPES[tape].scenes(scene_table(tape)))


# Functions of params take `wildcards` alone: params derived from input or resources are not remembered by Snakemake, and
# their change would go unnoticed. While capture.json, an input of the job, is missing, Snakemake evaluates them later.


def job_params(wildcards):
    tape = wildcards.tape
    return JobParams(TAPES[tape], wildcards.get("scene"), lambda: scene_table(tape), ENHANCE)


def of_job(fact):
    """A params or input function: a property of `JobParams`, for the job's tape or scene."""
    return params_function(lambda wildcards: fact.fget(job_params(wildcards)))


JOB_COSTS = JobCosts.of_workflow(workflow, TAPES, ENHANCE, config)
expected_s = JOB_COSTS.resource_function(job_params)  # for the order of jobs on lanes; never a reason to rerun


def disk_mb_of(kind):
    """A resource function: MB that a job writes; it starts only with so much free space. Never a reason to rerun."""
    return lambda wildcards: disk_mb(job_params(wildcards), kind)


def from_sheet(column):
    return lambda wildcards: str(getattr(TAPES[wildcards.tape].row, column))


def language(wildcards):
    """Language of the tape: from the sheet, or by vote of its scenes. Called in every plan, which finds a missing model."""
    speech_model(wildcards)
    stated = TAPES[wildcards.tape].row.language
    if stated != "auto":
        return stated
    return read_language(Path(checkpoints.detect_language.get(tape=wildcards.tape).output.language))


def subtitle_tracks(wildcards):
    """Language and title of each subtitle file. English speech needs no translation."""
    spoken, start = language(wildcards), f"results/{wildcards.tape}/{wildcards.tape}"
    foreign = config["subtitles"]["translate"] and spoken not in (None, "en")
    return {f"{start}.srt": [spoken or "", ""]} | ({f"{start}.en.srt": ["en", "English"]} if foreign else {})


def tape_tags(wildcards):
    """Tags of the tape: how it was made."""
    return job_params(wildcards).tape_tags(config, SPEECH_MODEL.sha256, RECIPE)


def source_files(wildcards):
    tape = TAPES[wildcards.tape]
    return tape.watched_files(tape.files)


def scene_source(wildcards):
    """File that contains a scene. Not the scene table: a moved border would change its time and remake every scene."""
    return TAPES[wildcards.tape].watched_files([job_params(wildcards).file])


def wait_for_language(wildcards):
    """No file: only waits for the vote, if there is one. A new vote with the same result transcribes nothing again."""
    language(wildcards)
    return []


def facts_of_folder(wildcards):
    """capture.json, only for folders of scenes: no checkpoint there makes the probe come first."""
    return [] if scene_table(wildcards.tape) else str(TAPES[wildcards.tape].paths.capture_record)


def of_each_scene(pattern):
    """An input function: `pattern` for every scene of the tape."""
    return lambda wildcards: [pattern.format(tape=wildcards.tape, scene=id) for id in scene_ids(wildcards.tape)]


def language_samples(wildcards):
    """Audio of some scenes, spread over the tape: enough to detect its language."""
    ids = evenly_spaced(scene_ids(wildcards.tape), config["subtitles"]["language_scenes"])
    return [f"results/{wildcards.tape}/audio/{id}.wav" for id in ids]


def speech_model(wildcards):
    if not (file := SPEECH_MODEL.path).is_file():
        raise WorkflowError(f"the speech model is missing: {file}\n  what to do: run `snakemake fetch_models` once")
    return str(file)

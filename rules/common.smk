"""
Names that all files under rules/ share: validated config and sheet, wildcard constraints, functions for inputs and params.
Nothing here opens media, uses the network or writes: the Snakefile is parsed anew for every job.
Settings reach a job through its params: its stage's section, and the number of its recipe (tapemill/core/recipes.py).
A tape has the defaults and the recipe with which it was begun, until `tapemill renew` gives it those of today.

TAPES                        state of each tape                                       here
ENHANCE, SPEECH_MODEL        section `enhance` and Whisper model of a new tape        here
SETTINGS                     these by tape, and rows of tables that cannot be used    tapemill/workflow/settings.py
section("x"), recipe("x")    params: section x of the config, recipe of rule x        here
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
from tapemill.core.recipes import recipe_of
from tapemill.core.timing import evenly_spaced
from tapemill.workflow.job_costs import JobCosts
from tapemill.workflow.job_params import JobParams, params_function
from tapemill.config.schema import load_config, renamed_keys, with_new_names
from tapemill.planning.disk_usage import disk_mb
from tapemill.subtitles import read_language
from tapemill.workflow.settings import load_settings
from tapemill.workflow.tape import DEMO_CAPTURE

try:
    # The config as its owner wrote it. A plan within a run gets the complete one, with this beside it.
    OWN_CONFIG = config.pop("own", None) or with_new_names(config)
    RENAMED_KEYS = renamed_keys(config)
    config.update(load_config(config))
    SETTINGS = load_settings(config, OWN_CONFIG)
except TapemillError as error:
    raise WorkflowError(str(error)) from None
config["own"] = OWN_CONFIG

TAPES, ENHANCE, SPEECH_MODEL = SETTINGS.tapes, SETTINGS.enhance, SETTINGS.speech_model

GPU_ENVIRONMENT = f"../envs/{dict(xpu='xpu', cuda='cuda', hip='rocm').get(config['lanes']['device'], 'cpu')}.yaml"


wildcard_constraints:
    tape="|".join(TAPES) or "(?!)",
    scene=r"\d{7}",
    state="[0-9a-f]{16}",


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
    tape, settings = wildcards.tape, SETTINGS.of_tape(wildcards.tape)
    stretches = settings.config["audio"]["stretch_to_picture"]
    return JobParams(TAPES[tape], wildcards.get("scene"), lambda: scene_table(tape), settings.enhance, stretches)


def of_job(fact):
    """A params or input function: a property of `JobParams`, for the job's tape or scene."""
    return params_function(lambda wildcards: fact.fget(job_params(wildcards)))


JOB_COSTS = JobCosts.of_workflow(workflow, TAPES, ENHANCE, config)
expected_s = JOB_COSTS.resource_function(job_params)  # for the order of jobs on lanes; never a reason to rerun


def disk_mb_of(kind):
    """A resource function: MB that a job writes; it starts only with so much free space. Never a reason to rerun."""
    return lambda wildcards: disk_mb(job_params(wildcards), kind)


def section(name):
    """A params function: a section of the config, with the defaults of the tape's recipe."""
    return params_function(lambda wildcards: SETTINGS.of_tape(wildcards.tape).config[name])


def recipe(rule):
    """A params function: the number of a rule's recipe, that of the tape."""
    return params_function(lambda wildcards: recipe_of(rule, SETTINGS.of_tape(wildcards.tape).recipe.numbers))


def from_sheet(column):
    return lambda wildcards: str(getattr(TAPES[wildcards.tape].row, column))


def tape_tags(wildcards):
    """Tags of the tape: how it was made."""
    settings = SETTINGS.of_tape(wildcards.tape)
    return job_params(wildcards).tape_tags(settings.config, settings.speech_model.sha256, settings.recipe.numbers)


def source_files(wildcards):
    tape = TAPES[wildcards.tape]
    return tape.watched_files(tape.files)


def scene_source(wildcards):
    """File that contains a scene. Not the scene table: a moved border would change its time and remake every scene."""
    return TAPES[wildcards.tape].watched_files([job_params(wildcards).file])


def facts_of_folder(wildcards):
    """capture.json, only for folders of scenes: no checkpoint there makes the probe come first."""
    return [] if scene_table(wildcards.tape) else str(TAPES[wildcards.tape].paths.capture_record)


def of_each_scene(pattern):
    """An input function: `pattern` for every scene of the tape."""
    return lambda wildcards: [pattern.format(tape=wildcards.tape, scene=id) for id in scene_ids(wildcards.tape)]


def chosen_encoder(wildcards):
    """Record of the tape's encoder, if a hardware encoder is to be tested."""
    settings = EnhanceSettings(**SETTINGS.of_tape(wildcards.tape).enhance.of_tape)
    return f"results/{wildcards.tape}/encoder.json" if needs_choice(settings) else []

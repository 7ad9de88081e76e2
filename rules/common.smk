"""
What the other rule files share: the validated config and sheet, wildcard constraints, and functions that look things up.

Nothing here opens a medium, uses the network or writes: the Snakefile is parsed anew for every job.
Settings reach a job through its params, each stage's own section, plus the stage's RECIPE number. Raise that number when
the code of a stage changes what it makes and finished tapes should be made again.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from snakemake.exceptions import WorkflowError

from tapemill import runlock
from tapemill.enhance import EnhanceSettings, needs_choice, output_picture
from tapemill.errors import TapemillError
from tapemill.lookup import lookups, spread
from tapemill.models import locked_sha256, resolve_model
from tapemill.settings import load_config, load_sheet
from tapemill.subtitles import read_language
from tapemill.timing import format_fraction

DEMO_CAPTURE = "resources/demo/capture.mkv"
RECIPE = {
    "capture": 1,
    "scenes": 1,
    "audio": 1,
    "subtitles": 1,
    "enhance": 1,
    "tape": 1,
}

try:
    config.update(load_config(config))
    TAPES = lookups(load_sheet(Path(config["sheet"]), producible=[DEMO_CAPTURE]))
    SOURCES = {tape: [str(file) for file in lookup.files] for tape, lookup in TAPES.items()}
    ENHANCE = EnhanceSettings(**config["enhance"])
except TapemillError as error:
    raise WorkflowError(str(error)) from None

HARDWARE_ENCODER = needs_choice(ENHANCE)
SUBTITLE_KINDS = ["", ".en"] if config["subtitles"]["translate"] else [""]


wildcard_constraints:
    tape="|".join(TAPES) or "(?!)",
    scene=r"\d{7}",


onstart:
    # Held by this process until it ends, however it ends: the kernel releases it (profiles say nolock).
    runlock.hold(Path(".snakemake"))


##### Input functions: files that a job waits for #####################################################################


def source(wildcards):
    """The sheet's source: a capture file, or a folder of ready scenes."""
    return str(TAPES[wildcards.tape].row.source)


def source_files(wildcards):
    """The file or files of the capture, in order."""
    return SOURCES[wildcards.tape]


def scene_source(wildcards):
    """The file that holds a scene. Never the scene table: its file time would redo every scene when a border moved."""
    find_scene(wildcards)
    return str(TAPES[wildcards.tape].file_of(wildcards.scene))


def ready_facts(wildcards):
    """capture.json, for ready scenes only: there no checkpoint sees to it that the probe comes first."""
    tape = TAPES[wildcards.tape]
    return str(tape.facts_path) if tape.is_folder else []


def of_each_scene(pattern):
    """An input function: `pattern` for every scene of the tape."""
    return lambda wildcards: [pattern.format(tape=wildcards.tape, scene=id) for id in scene_ids(wildcards.tape)]


def language_witnesses(wildcards):
    """Sound of some scenes, spread over the tape: enough to tell its language."""
    ids = spread(scene_ids(wildcards.tape), config["subtitles"]["language_scenes"])
    return [f"results/{wildcards.tape}/audio/{id}.wav" for id in ids]


def speech_model(wildcards):
    """The speech model's file. A missing one is found when the DAG is built, not after hours: `snakemake models`."""
    try:
        return str(resolve_model(config["subtitles"]["model"], Path("resources/models")))
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


##### Scenes: known at once for a folder of ready ones, otherwise after the checkpoint ################################


def scene_table(tape):
    return None if TAPES[tape].is_folder else Path(checkpoints.detect_scenes.get(tape=tape).output.table)


def scene_ids(tape):
    return list(TAPES[tape].folder if TAPES[tape].is_folder else TAPES[tape].scenes(scene_table(tape)))


def find_scene(wildcards):
    """The name of the job's scene. A target that names no scene of the tape is an error."""
    if wildcards.scene not in scene_ids(wildcards.tape):
        raise WorkflowError(f"tape {wildcards.tape} has no scene {wildcards.scene}")
    return wildcards.scene


def scenes(wildcards):
    return TAPES[wildcards.tape].scenes(scene_table(wildcards.tape))


##### Params functions: what a job depends on besides files ###########################################################
# They take `wildcards` and nothing else: Snakemake does not remember params that are derived from input or resources, and
# a change of those would go unnoticed. While capture.json, an input of the job, is still to be made, they are put off.


def capture(wildcards):
    """Facts of the capture. A scene's job has them only after the checkpoint."""
    if "scene" in wildcards.keys():
        find_scene(wildcards)
    return TAPES[wildcards.tape].capture


def fingerprint(wildcards):
    return TAPES[wildcards.tape].fingerprint()


def scene_fingerprint(wildcards):
    return TAPES[wildcards.tape].fingerprint(find_scene(wildcards))


def picture(wildcards):
    return capture(wildcards).picture.to_plain()


def sounds(wildcards):
    return [sound.to_plain() for sound in capture(wildcards).sounds]


def takes(wildcards):
    return [take.to_plain() for take in capture(wildcards).takes]


def take(wildcards):
    return TAPES[wildcards.tape].take_of(find_scene(wildcards))


def speech_stream(wildcards):
    """The sound track that is listened to for subtitles: the first. None if there is no sound."""
    return next((sound.stream_index for sound in capture(wildcards).sounds), None)


def rate(wildcards):
    return format_fraction(capture(wildcards).picture.rate)


def span_in_file(wildcards):
    return TAPES[wildcards.tape].span_in_file(scenes(wildcards)[wildcards.scene])


def frames(wildcards):
    return scenes(wildcards)[wildcards.scene].span.frames


def spans(wildcards):
    return [[scene.span.start_frame, scene.span.stop_frame] for scene in scenes(wildcards).values()]


def enhanced_rate(wildcards):
    return format_fraction(output_picture(capture(wildcards).picture, ENHANCE).rate)


def enhanced_spans(wildcards):
    """Like `spans`, in frames of the enhanced clips: twice as many if each field became a frame."""
    factor = output_picture(capture(wildcards).picture, ENHANCE).frames_per_frame
    return [[factor * start, factor * stop] for start, stop in spans(wildcards)]


def subtitle_languages(wildcards):
    """Languages and titles of the subtitle tracks."""
    spoken = language(wildcards) or ""
    return [[spoken, "en"], ["", "English"]] if config["subtitles"]["translate"] else [[spoken], [""]]


def made_with(wildcards):
    """What the tape says about how it was made: facts, no times and places, so that the same job makes the same bytes."""
    return {
        "capture": TAPES[wildcards.tape].fingerprint(),
        "field_order": capture(wildcards).picture.field_order,
        "enhance_preset": config["enhance"]["preset"],
        "encoder": config["enhance"]["encoder"],
        "speech_model": config["subtitles"]["model"],
        "speech_model_sha256": speech_model_sha256(wildcards),
        "recipe": " ".join(f"{stage}={number}" for stage, number in RECIPE.items()),
    }


def speech_model_sha256(wildcards):
    return locked_sha256(config["subtitles"]["model"], Path("config/models.lock"))


def language(wildcards):
    """The sheet's language of the tape, or what its scenes voted for."""
    stated = TAPES[wildcards.tape].row.language
    if stated != "auto":
        return stated
    return read_language(Path(checkpoints.detect_language.get(tape=wildcards.tape).output.language))

"""
What the other rule files share: the validated config and sheet, wildcard constraints, and functions that look things up.

Nothing here opens a medium, uses the network or writes: the Snakefile is parsed anew for every job.
Settings reach a job through its params, each stage's own section, plus the stage's RECIPE number. Raise that number when
the code of a stage changes what it makes and finished tapes should be made again.
"""

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from snakemake.exceptions import WorkflowError

from tapemill import runlock
from tapemill.enhance import enhance_gpus
from tapemill.errors import TapemillError
from tapemill.facts import Capture
from tapemill.files import fingerprint, scene_files
from tapemill.models import locked_sha256, resolve_model
from tapemill.scenes import Scene, folder_scenes, read_scenes
from tapemill.settings import load_config, load_sheet
from tapemill.subtitles import read_language
from tapemill.timing import format_fraction

DEMO_CAPTURE = "resources/demo/capture.mkv"
RECIPE = {"capture": 1, "scenes": 1, "audio": 1, "subtitles": 1, "enhance": 1, "tape": 1}

try:
    config.update(load_config(config))
    TAPES = load_sheet(Path(config["sheet"]), producible=[DEMO_CAPTURE])
    # Tapes whose source is a folder of ready scenes: their scenes are known before anything runs.
    READY_SCENES = {tape: scene_files(row.source) for tape, row in TAPES.items() if row.source.is_dir()}
except TapemillError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    tape="|".join(TAPES) or "(?!)",
    scene=r"\d{7}",


onstart:
    # Held by this process until it ends, however it ends: the kernel releases it (profiles say nolock).
    runlock.hold(Path(".snakemake"))


##### The capture of a tape ###########################################################################################


def source(wildcards):
    """The sheet's source: a capture file, or a folder of ready scenes."""
    return str(TAPES[wildcards.tape].source)


def source_files(wildcards):
    """The file or files of the capture, in order."""
    return [str(file) for file in READY_SCENES.get(wildcards.tape, [TAPES[wildcards.tape].source])]


def source_fingerprint(wildcards, input):
    """What tells this capture from another one, instead of its file time."""
    return fingerprint(Path(source(wildcards)))


@cache
def read_once(reader, path, changed_ns):
    return reader(path)


def capture_facts(tape):
    """Content of capture.json. Only rules that depend on it, or on the scene table made from it, may ask."""
    path = Path(f"results/{tape}/capture.json")
    return read_once(Capture.read, path, path.stat().st_mtime_ns)


def picture_facts(wildcards, input):
    """The picture of the tape as plain values."""
    return capture_facts(wildcards.tape).picture.to_plain()


def sound_facts(wildcards, input):
    """All sound tracks as plain values."""
    return [sound.to_plain() for sound in capture_facts(wildcards.tape).sounds]


def take_facts(wildcards, input):
    """All files of the capture as plain values."""
    return [take.to_plain() for take in capture_facts(wildcards.tape).takes]


##### The scenes of a tape ############################################################################################


def scenes_by_id(table):
    return {scene.id: scene for scene in read_scenes(table)}


def scenes(tape):
    """Scenes by id, in order. For a capture file this waits for the checkpoint detect_scenes."""
    if tape in READY_SCENES:
        return {scene.id: scene for scene in folder_scenes(capture_facts(tape).takes)}
    table = Path(checkpoints.detect_scenes.get(tape=tape).output.table)
    return read_once(scenes_by_id, table, table.stat().st_mtime_ns)


def scene_ids(tape):
    """Ids of the scenes, in order; of a folder known without having looked into its files."""
    if tape in READY_SCENES:
        return [f"{position:07d}" for position in range(len(READY_SCENES[tape]))]
    return list(scenes(tape))


def scene(wildcards):
    """The scene of a job. A target that names no scene of this tape is an error."""
    try:
        return scenes(wildcards.tape)[wildcards.scene]
    except KeyError:
        raise WorkflowError(f"tape {wildcards.tape} has no scene {wildcards.scene}, see its scenes.tsv") from None


def scene_source(wildcards):
    """The file that holds a scene. Never the table: its file time would redo every scene when one border moved."""
    if wildcards.tape in READY_SCENES:
        files = source_files(wildcards)
        position = int(wildcards.scene)
        if position >= len(files):
            raise WorkflowError(f"tape {wildcards.tape} has {len(files)} scenes, there is no {wildcards.scene}")
        return files[position]
    scene(wildcards)
    return source(wildcards)


def scene_facts(wildcards):
    """For ready scenes, where no checkpoint stands before the scene jobs, the probe has to come first."""
    return f"results/{wildcards.tape}/capture.json" if wildcards.tape in READY_SCENES else []


def scene_fingerprint(wildcards, input):
    """What tells the file of this scene from another one."""
    return fingerprint(Path(scene_source(wildcards)))


def scene_span(wildcards, input):
    """First frame and the frame after the last, in the file of the scene."""
    span = scene(wildcards).span
    start = 0 if wildcards.tape in READY_SCENES else span.start_frame
    return [start, start + span.frames]


def scene_take(wildcards, input):
    """Facts of the file that holds the scene."""
    takes = capture_facts(wildcards.tape).takes
    return takes[int(wildcards.scene) if wildcards.tape in READY_SCENES else 0].to_plain()


def scene_frames(wildcards, input):
    """Length of the scene in frames."""
    return scene(wildcards).span.frames


def scene_sound(wildcards, input):
    """Stream index of the sound track that is listened to for subtitles, None if there is no sound."""
    sounds = capture_facts(wildcards.tape).sounds
    return sounds[0].stream_index if sounds else None


def tape_spans(wildcards, input):
    """All scenes as frame ranges of the tape."""
    return [[scene.span.start_frame, scene.span.stop_frame] for scene in scenes(wildcards.tape).values()]


def tape_rate(wildcards, input):
    """Frames a second before enhancement, as text, since params hold plain values."""
    return format_fraction(capture_facts(wildcards.tape).picture.rate)


def of_each_scene(pattern):
    """An input function: `pattern` for every scene of the tape."""
    return lambda wildcards: [pattern.format(tape=wildcards.tape, scene=id) for id in scene_ids(wildcards.tape)]


##### Models and languages ############################################################################################


def speech_model(wildcards):
    """The speech model's file. Missing files are found when the DAG is built, not after hours: see `snakemake models`."""
    try:
        return str(resolve_model(config["subtitles"]["model"], Path("resources/models")))
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


def speech_model_sha256(wildcards, input):
    """The pinned hash: a fetched or copied model with the same content redoes nothing."""
    return locked_sha256(config["subtitles"]["model"], Path("config/models.lock"))


def language_witnesses(wildcards):
    """Sound of some scenes, spread over the tape: enough to tell its language."""
    ids = scene_ids(wildcards.tape)
    count = min(len(ids), config["subtitles"]["language_scenes"])
    chosen = [ids[(2 * position + 1) * len(ids) // (2 * count)] for position in range(count)]
    return [f"results/{wildcards.tape}/audio/{id}.wav" for id in chosen]


def language(wildcards, input):
    """The sheet's language of the tape, or what the scenes voted for."""
    stated = TAPES[wildcards.tape].language
    if stated != "auto":
        return stated
    return read_language(Path(checkpoints.detect_language.get(tape=wildcards.tape).output.language))

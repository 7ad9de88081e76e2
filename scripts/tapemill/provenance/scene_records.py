"""Parts of a provenance that come from the records of the tape's scenes: how each was made, models, seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tapemill.core.result_paths import TapePaths
from tapemill.media.ffmpeg.version import package_version
from tapemill.models import ModelFile
from tapemill.records import job_records
from tapemill.records.clip import ClipRecord
from tapemill.storage import fingerprint

from .model import SceneHow, SceneSubtitles, Seeds, UsedModel

# silero-vad's wheel contains several; this one is loaded for speech detection (6.2.3).
VAD_MODEL: Final = "silero_vad.jit"


def scene_how(folder: Path, scene: str, frames: Sequence[int]) -> SceneHow:
    """Build the entry of a scene. `folder` is the tape's, `frames` its first frame and the one after its last."""
    clip = job_records.clip_record(folder, scene)
    return SceneHow(
        scene=scene,
        start_frame=frames[0],
        stop_frame=frames[1],
        enhance=_without_programs(clip) if clip else None,
        subtitles=_subtitles(folder, scene, translated=False),
        translation=_subtitles(folder, scene, translated=True),
    )


def used_models(folder: Path, scenes: Iterable[str], speech: ModelFile) -> tuple[UsedModel, ...]:
    """Collect every model that the records name, once. `speech` is the requested model of the recognition."""
    used: set[UsedModel] = set()
    versions: set[str] = set()
    for scene in scenes:
        clip = job_records.clip_record(folder, scene)
        for network in clip.networks if clip else ():
            used.add(UsedModel("enhance", Path(network.model).name, network.sha256))
        for translated in (False, True):
            record = job_records.subtitle_record(folder, scene, translated=translated)
            if record and record.made_from and "silero-vad" in record.made_from.versions:
                versions.add(record.made_from.versions["silero-vad"])
            if record and record.lowered:
                used.add(UsedModel("subtitles", record.lowered.model, record.lowered.model_sha256))
            elif record and record.made_from:
                name = speech.path.stem if record.made_from.model_sha256 == speech.sha256 else "unknown"
                used.add(UsedModel("subtitles", name, record.made_from.model_sha256))
    if versions == {package_version("silero-vad")}:
        used |= {UsedModel("speech detection", VAD_MODEL, fingerprint.sha256(path)) for path in _vad_model()}
    return tuple(sorted(used, key=lambda model: (model.used_for, model.name, model.sha256)))


def seeds(settings: Mapping[str, Mapping[str, Any]], scenes: Iterable[SceneHow]) -> Seeds:
    """Collect the seeds of the recognition and of all networks."""
    networks = {network.seed for scene in scenes if scene.enhance for network in scene.enhance.networks}
    return Seeds(settings["subtitles"]["seed"], tuple(sorted(networks)))


def _without_programs(clip: ClipRecord) -> ClipRecord:
    """The record without versions, which stand in `how.programs`, without paths of models, and without its hash.

    A hash says what came out and not how: another kind of GPU rounds differently.
    """
    return replace(
        clip,
        sha256=None,
        programs={},
        cut_with=replace(clip.cut_with, ffmpeg="") if clip.cut_with else None,
        networks=tuple(replace(network, model=Path(network.model).name) for network in clip.networks),
    )


def _subtitles(folder: Path, scene: str, *, translated: bool) -> SceneSubtitles | None:
    """How the subtitles of a scene were made, without their text, which has files of its own."""
    srt = TapePaths(folder).subtitles(scene, translated=translated)
    record = job_records.subtitle_record(folder, scene, translated=translated)
    if not record or not srt.is_file():
        return None
    inputs, found = record.made_from, fingerprint.sha256(srt)
    return SceneSubtitles(
        srt_sha256=found,
        corrected_by_hand=found != record.srt_sha256,
        audio_sha256=inputs.audio_sha256 if inputs else None,
        model_sha256=inputs.model_sha256 if inputs else None,
        task=inputs.task if inputs else None,
        language=inputs.language if inputs else None,
        lowered=record.lowered,
        left_empty=record.left_empty,
    )


def _vad_model() -> list[Path]:
    listed = metadata.files("silero-vad") or []
    return [Path(str(file.locate())) for file in listed if file.name == VAD_MODEL]

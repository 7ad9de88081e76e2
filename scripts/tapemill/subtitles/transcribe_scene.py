"""One scene from sound to cues, with a record of how they came about."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tapemill.core.errors import OnSceneFailure, SceneError
from tapemill.core.job_warnings import JobWarning
from tapemill.core.progress import report
from tapemill.devices.device import CPU, Device, open_device
from tapemill.models import ModelFile
from tapemill.storage import atomic, fingerprint, untrusted_text

from .asr import Task, recognise
from .cue_layout import lay_cues
from .hallucination_filter import judge
from .model_selection import Hearing, fitting, lowered, measuring
from .segments import Region, Segment
from .settings import SubtitlesSettings
from .srt import as_srt
from .vad import detect_speech, read_samples
from .whisper_loader import load_model

LOG = logging.getLogger("tapemill.subtitles")

PACKAGES = ("openai-whisper", "silero-vad", "torch")


def transcribe_scene(
    *,
    audio: Path,
    model: ModelFile,
    srt: Path,
    record: Path,
    language: str | None,
    frames: int,
    rate: Fraction,
    settings: SubtitlesSettings,
    recipe: int,
    task: Task = "transcribe",
    device: Device = CPU,
    smaller: Sequence[ModelFile] = (),
    on_failure: OnSceneFailure = "stop",
) -> list[JobWarning]:
    """Write the cues of a scene of `frames` frames at `rate`, counted from its start, and the record beside them.

    `audio` is a WAV of 16 kHz, one channel, 16 bit; without speech in it the SRT is empty and no model is loaded. What
    stands in `srt` and was not written by this function is somebody's correction and stays, byte for byte. Where only
    settings of guards and cues have changed, the record's segments are laid out anew and nothing is recognised again.
    Without a language it is detected in this scene. Where memory is short, the beam search is given up and then one of
    the models in `smaller` (the largest first) takes the place of `model`; the record says so under `lowered`. With
    `on_failure` "keep_original" a scene that cannot be transcribed gets an empty SRT, and the record says why. Raises
    SceneError, ModelError, ConfigError, SetupError, OutOfMemory.
    """
    before = _read_record(record)
    if srt.exists() and fingerprint.sha256(srt) not in _written_by_us(before):
        _keep(srt, record, before)
        return []
    try:
        text, values = _transcribed(
            before=before,
            audio=audio,
            wish=Hearing(model, settings.beam_size, settings.word_timestamps),
            smaller=smaller,
            language=language,
            frames=frames,
            rate=rate,
            task=task,
            settings=settings,
            recipe=recipe,
            device=device,
        )
    except SceneError as error:
        if on_failure == "stop":
            raise
        LOG.warning("the scene gets no subtitles: %s: %s", type(error).__name__, error)
        text, values = "", {"left_empty": {"error": type(error).__name__, "message": error.what}}
    # First the record, then the SRT: if the machine stops in between, the old SRT is still known as ours.
    values["srt_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    values["replaced_srt_sha256"] = fingerprint.sha256(srt) if srt.exists() else None
    atomic.write_json(record, values)
    atomic.write_text(srt, text)
    report(f"{frames} frames listened to", frames=frames)
    return list(_notices(values))


def _transcribed(
    *,
    before: Mapping[str, Any],
    audio: Path,
    wish: Hearing,
    smaller: Sequence[ModelFile],
    language: str | None,
    frames: int,
    rate: Fraction,
    task: Task,
    settings: SubtitlesSettings,
    recipe: int,
    device: Device,
) -> tuple[str, dict[str, Any]]:
    """The SRT, and what the record says of how it came about. `before` is the record of an earlier run."""
    made_from = _made_from(
        audio=audio, language=language, settings=settings, recipe=recipe, model_sha256=wish.model.sha256, task=task
    )
    if before.get("made_from") == made_from:
        LOG.info("the speech is recognised already, only the cues are laid out anew")
        heard, less = before["heard"], {key: before[key] for key in ("lowered",) if key in before}
    else:
        heard, less = _listen(
            audio=audio, wish=wish, smaller=smaller, language=language, task=task, settings=settings, device=device
        )
    regions = [Region(**region) for region in heard["speech"]]
    segments = [Segment.from_plain(segment) for segment in heard["segments"]]
    judged = judge(segments, regions, settings)
    cues = lay_cues([kept for kept, reason in judged if reason is None], frames=frames, rate=rate, settings=settings)
    removed = [_removed(segment, reason) for segment, reason in judged if reason is not None]
    return as_srt(cues), {"made_from": made_from, "heard": heard, **less, "removed": removed}


def _notices(record: Mapping[str, Any]) -> Iterator[JobWarning]:
    if "left_empty" in record:
        yield JobWarning("empty", "{error}: {message}".format(**record["left_empty"]))
    if "lowered" in record:
        yield JobWarning(
            "lowered", f"heard with {record['lowered']['model']}, beam of {record['lowered']['beam_size']}"
        )


def _listen(
    *,
    audio: Path,
    wish: Hearing,
    smaller: Sequence[ModelFile],
    language: str | None,
    task: Task,
    settings: SubtitlesSettings,
    device: Device,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is in the sound, as JSON values: language, stretches of speech, segments as recognised; what was lowered."""
    samples = read_samples(audio)
    regions = detect_speech(samples, settings)
    segments: Sequence[Segment] = []
    less: dict[str, Any] = {}
    if regions:
        open_device(device)
        choice = fitting(wish, smaller, device)
        less, taken = lowered(wish, choice), choice.candidate.value
        report(f"listening with {choice.candidate.name}", model=[taken.model.path.stem])
        model = load_model(taken.model, device, headroom_bytes=taken.activation_bytes(device))
        with measuring(taken, device):
            language, segments = recognise(
                samples,
                regions,
                model=model,
                language=language,
                task=task,
                settings=replace(settings, beam_size=taken.beam_size),
                device=device,
            )
    else:
        LOG.info("nobody speaks in this scene")
    heard = {
        "language": language,
        "speech": [region.to_plain() for region in regions],
        "segments": [segment.to_plain() for segment in segments],
    }
    return heard, less


def _made_from(
    *, audio: Path, language: str | None, settings: SubtitlesSettings, recipe: int, model_sha256: str, task: Task
) -> dict[str, Any]:
    """All that the recognised text depends on. Compared after a round trip through JSON, so plain values only."""
    from importlib.metadata import version

    return {
        "audio_sha256": fingerprint.sha256(audio),
        "model_sha256": model_sha256,
        "task": task,
        "language": language,
        "settings": settings.recognition(),
        "recipe": recipe,
        # The build for one kind of card (2.13.0+cpu, 2.13.0+xpu) is the same version.
        "versions": {package: version(package).split("+")[0] for package in PACKAGES},
    }


def _removed(segment: Segment, reason: str) -> dict[str, Any]:
    LOG.info("left out: %r, %s", segment.text, reason)
    return {"start_ms": segment.start_ms, "stop_ms": segment.stop_ms, "text": segment.text, "reason": reason}


def _read_record(record: Path) -> dict[str, Any]:
    """The record of an earlier run; empty if there is none, or if it is not one of ours."""
    try:
        return untrusted_text.read_json(record, error=SceneError, remedy="delete it")
    except FileNotFoundError:
        return {}
    except SceneError:
        LOG.warning("%s is damaged and made again", record)
        return {}


def _written_by_us(record: Mapping[str, Any]) -> set[str]:
    return {record[key] for key in ("srt_sha256", "replaced_srt_sha256") if record.get(key)}


def _keep(srt: Path, record: Path, before: Mapping[str, Any]) -> None:
    LOG.warning("%s was corrected by hand and is kept; delete it to have it made again", srt)
    atomic.write_json(record, {**before, "note": "the SRT was corrected by hand and kept"})
    # The same bytes with a new time, or the next run would find it older than the sound and come here again.
    os.utime(srt)

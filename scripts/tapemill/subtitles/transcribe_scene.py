"""Transcribe one scene: from audio to cues, with a record of how they were made."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tapemill.core.errors import OnSceneFailure, SceneError
from tapemill.core.job_warnings import JobWarning
from tapemill.core.progress import report
from tapemill.devices.device import CPU, Device, open_device
from tapemill.devices.ipex import extension_version
from tapemill.models import ModelFile
from tapemill.records.common import Failure
from tapemill.records.speech import Segment
from tapemill.records.subtitles import AsrDowngrade, AsrInputs, AsrTask, HeardSpeech, RemovedSegment, SubtitleRecord
from tapemill.storage import atomic, fingerprint
from tapemill.storage.typed_json import read_record

from .asr import transcribe
from .cue_layout import layout_cues
from .hallucination_filter import filter_segments
from .model_selection import AsrConfig, downgrade_record, measure_activations, select_model
from .settings import SubtitlesSettings
from .srt import as_srt
from .vad import detect_speech, read_samples
from .whisper_loader import load_model

LOG = logging.getLogger("tapemill.subtitles")

PACKAGES = ("openai-whisper", "silero-vad", "torch")
CORRECTED = "the SRT was corrected by hand and kept"


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
    task: AsrTask = "transcribe",
    device: Device = CPU,
    smaller: Sequence[ModelFile] = (),
    on_failure: OnSceneFailure = "stop",
) -> list[JobWarning]:
    """Write the cues of a scene of `frames` frames at `rate`, counted from its start, and the record beside them.

    `audio` is a WAV of 16 kHz, one channel, 16 bit; without speech in it the SRT is empty and no model is loaded. An
    `srt` that was not written by this function is a correction by hand and stays, byte for byte. If only settings of
    the hallucination filter and of cues have changed, the record's segments are laid out again without recognition.
    Without a `language` it is detected in this scene. Where memory is short, the beam search is dropped, and then one
    of the models in `smaller` (the largest first) replaces `model`; the record has that under `lowered`. With
    `on_failure` "keep_original" a scene that cannot be transcribed gets an empty SRT, and the record has the reason.

    Raises SceneError, ModelError, ConfigError, SetupError, OutOfMemory.
    """
    previous = _read_record(record)
    if srt.exists() and fingerprint.sha256(srt) not in _own_digests(previous):
        _keep_correction(srt, record, previous)
        return []
    try:
        text, values = _transcribe(
            previous=previous,
            audio=audio,
            requested=AsrConfig(model, settings.beam_size, settings.word_timestamps),
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
        text, values = "", SubtitleRecord(left_empty=Failure(type(error).__name__, error.what))
    # First the record, then the SRT: if the machine stops in between, the old SRT is still known as not corrected.
    made = hashlib.sha256(text.encode()).hexdigest()
    values = replace(values, srt_sha256=made, replaced_srt_sha256=_replaced_digest(srt, made, previous))
    atomic.write_json(record, values.to_plain())
    atomic.write_text(srt, text)
    report(f"audio of {frames} frames transcribed", frames=frames)
    return list(values.warnings())


def _transcribe(
    *,
    previous: SubtitleRecord | None,
    audio: Path,
    requested: AsrConfig,
    smaller: Sequence[ModelFile],
    language: str | None,
    frames: int,
    rate: Fraction,
    task: AsrTask,
    settings: SubtitlesSettings,
    recipe: int,
    device: Device,
) -> tuple[str, SubtitleRecord]:
    """The content of the SRT, and of the record. `previous` is the record of an earlier run."""
    made_from = _inputs(
        audio=audio,
        language=language,
        settings=settings,
        recipe=recipe,
        model_sha256=requested.model.sha256,
        task=task,
        device=device,
    )
    if previous and previous.heard and previous.made_from == made_from:
        LOG.info("the speech is recognised already; only the cues are laid out again")
        heard, downgrade = previous.heard, previous.lowered
    else:
        heard, downgrade = _recognise(
            audio=audio,
            requested=requested,
            smaller=smaller,
            language=language,
            task=task,
            settings=settings,
            device=device,
        )
    filtered = filter_segments(heard.segments, heard.speech, settings)
    cues = layout_cues(
        [kept for kept, reason in filtered if reason is None], frames=frames, rate=rate, settings=settings
    )
    removed = tuple(_removed_entry(segment, reason) for segment, reason in filtered if reason is not None)
    return as_srt(cues), SubtitleRecord(made_from=made_from, heard=heard, lowered=downgrade, removed=removed)


def _recognise(
    *,
    audio: Path,
    requested: AsrConfig,
    smaller: Sequence[ModelFile],
    language: str | None,
    task: AsrTask,
    settings: SubtitlesSettings,
    device: Device,
) -> tuple[HeardSpeech, AsrDowngrade | None]:
    """Speech of the scene, and the record of a downgrade."""
    samples = read_samples(audio)
    regions = detect_speech(samples, settings)
    segments: Sequence[Segment] = []
    downgrade: AsrDowngrade | None = None
    if regions:
        open_device(device)
        choice = select_model(requested, smaller, device)
        downgrade, used = downgrade_record(requested, choice), choice.candidate.value
        report(f"transcribing with {choice.candidate.name}", model=[used.model.path.stem])
        model = load_model(used.model, device, headroom_bytes=used.activation_bytes(device))
        with measure_activations(used, device):
            language, segments = transcribe(
                samples,
                regions,
                model=model,
                language=language,
                task=task,
                settings=replace(settings, beam_size=used.beam_size),
                device=device,
            )
    else:
        LOG.info("no speech in this scene")
    return HeardSpeech(language, tuple(regions), tuple(segments)), downgrade


def _inputs(
    *,
    audio: Path,
    language: str | None,
    settings: SubtitlesSettings,
    recipe: int,
    model_sha256: str,
    task: AsrTask,
    device: Device,
) -> AsrInputs:
    """Inputs of recognition: all that its result depends on, which a record is compared with."""
    from importlib.metadata import version

    return AsrInputs(
        audio_sha256=fingerprint.sha256(audio),
        model_sha256=model_sha256,
        task=task,
        language=language,
        settings=settings.recognition(),
        recipe=recipe,
        # Builds for different devices (2.13.0+cpu, 2.13.0+xpu) are the same version.
        versions={package: version(package).split("+")[0] for package in PACKAGES} | extension_version(device),
    )


def _removed_entry(segment: Segment, reason: str) -> RemovedSegment:
    LOG.info("dropped: %r, %s", segment.text, reason)
    return RemovedSegment(segment.start_ms, segment.stop_ms, segment.text, reason)


def _read_record(record: Path) -> SubtitleRecord | None:
    """Read the record of an earlier run; None if there is none, or if it is damaged."""
    try:
        return read_record(SubtitleRecord, record, error=SceneError, remedy="delete it")
    except FileNotFoundError:
        return None
    except SceneError as error:
        LOG.warning("%s is made again: %s", record, error.what)
        return None


def _own_digests(record: SubtitleRecord | None) -> set[str]:
    """SHA-256 of the SRT files that this module wrote, by a record."""
    digests = (record.srt_sha256, record.replaced_srt_sha256) if record else ()
    return {digest for digest in digests if digest}


def _replaced_digest(srt: Path, made: str, previous: SubtitleRecord | None) -> str | None:
    """SHA-256 of the SRT that the new one, with the digest `made`, replaces; None if there is none."""
    found = fingerprint.sha256(srt) if srt.exists() else None
    if previous and found == made == previous.srt_sha256:
        # Stopped after everything was written: the record is to be the same as without that.
        return previous.replaced_srt_sha256
    return found


def _keep_correction(srt: Path, record: Path, previous: SubtitleRecord | None) -> None:
    LOG.warning("%s was corrected by hand and stays; delete it to have it made again", srt)
    values = replace(previous, note=CORRECTED).to_plain() if previous else {"note": CORRECTED}
    atomic.write_json(record, values)
    # A new time for the same bytes, or the next run would find it older than the audio and start this job again.
    os.utime(srt)

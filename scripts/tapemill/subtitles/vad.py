"""Voice activity detection (VAD) with silero-vad, before any speech is recognised."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tapemill.core.errors import SceneError
from tapemill.devices.determinism import torch_threads
from tapemill.devices.device import CPU
from tapemill.devices.model_cache import get_or_load
from tapemill.records.speech import SpeechRegion

from .settings import SubtitlesSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
# Whisper's spectra have one column for 10 ms, so finer borders would be lost.
GRAIN_MS = 10
# Of silero-vad's model, in memory.
DETECTOR_BYTES = 4 << 20


def read_samples(path: Path) -> Samples:
    """Read the audio of a scene: samples in [-1, 1), shape (samples,), float32.

    Raises SceneError if the file is not a WAV of 16 kHz, one channel, 16 bit.
    """
    import numpy as np

    try:
        with wave.open(str(path), "rb") as stream:
            found = (stream.getframerate(), stream.getnchannels(), stream.getsampwidth())
            data = stream.readframes(stream.getnframes())
    except (wave.Error, EOFError) as error:
        raise SceneError(f"the audio of the scene cannot be read: {error}", file=path, remedy=REMEDY) from error
    if found != (SAMPLE_RATE_HZ, 1, 2):
        raise SceneError(
            f"the audio of the scene has {found[0]} Hz, {found[1]} channels, {8 * found[2]} bit; "
            f"speech detection needs {SAMPLE_RATE_HZ} Hz, 1 channel, 16 bit",
            file=path,
            remedy=REMEDY,
        )
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768)


REMEDY = "delete the file; the next run makes it again from the capture"


def detect_speech(samples: Samples, settings: SubtitlesSettings) -> list[SpeechRegion]:
    """Detect speech regions, in order, each widened by `vad_pad_s` but never into the next one.

    For digital silence no detector is loaded.
    """
    if not samples.any():
        return []
    with torch_threads(settings.torch_threads):
        import torch
        from silero_vad import get_speech_timestamps, load_silero_vad

        # It resets its state before each scene, so one detector gives the same results as a new one for each.
        detector = get_or_load("silero-vad", DETECTOR_BYTES, CPU, load_silero_vad)
        with torch.inference_mode():
            found = get_speech_timestamps(
                torch.from_numpy(samples),
                detector,
                threshold=settings.vad_threshold,
                sampling_rate=SAMPLE_RATE_HZ,
                min_speech_duration_ms=round(settings.vad_min_speech_s * 1000),
                min_silence_duration_ms=round(settings.vad_min_silence_s * 1000),
                speech_pad_ms=round(settings.vad_pad_s * 1000),
            )
    return _align_to_columns([(at["start"], at["end"]) for at in found], len(samples))


def _align_to_columns(spans: Sequence[tuple[int, int]], samples: int) -> list[SpeechRegion]:
    """Spans in samples as regions on the grid of spectrogram columns, rounded outwards, but not into the next one.

    Nor past the last whole column: transcribe() would wait forever for the part of a clip that has no spectrum.
    """
    grain = SAMPLE_RATE_HZ * GRAIN_MS // 1000
    columns = [(start // grain, min(-(-stop // grain), samples // grain)) for start, stop in spans]
    end = samples // grain
    return [
        SpeechRegion(start * GRAIN_MS, min(stop, following) * GRAIN_MS)
        for (start, stop), (following, _) in pairwise([*columns, (end, end)])
        if start < min(stop, following)
    ]


def merge_close_regions(regions: Sequence[SpeechRegion], gap_s: float) -> list[SpeechRegion]:
    """Merge regions that are less than `gap_s` seconds apart."""
    merged: list[SpeechRegion] = []
    for region in regions:
        if merged and region.start_ms - merged[-1].stop_ms < gap_s * 1000:
            merged[-1] = SpeechRegion(merged[-1].start_ms, region.stop_ms)
        else:
            merged.append(region)
    return merged

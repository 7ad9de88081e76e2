"""Where somebody speaks, found with silero-vad before any speech is recognised."""

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

from .segments import Region
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
    """The samples of a scene's sound, in [-1, 1), shape (samples,).

    Raises SceneError if the file is not a WAV of 16 kHz, one channel, 16 bit.
    """
    import numpy as np

    try:
        with wave.open(str(path), "rb") as stream:
            found = (stream.getframerate(), stream.getnchannels(), stream.getsampwidth())
            data = stream.readframes(stream.getnframes())
    except (wave.Error, EOFError) as error:
        raise SceneError(f"the sound of the scene cannot be read: {error}", file=path, remedy=_REDO) from error
    if found != (SAMPLE_RATE_HZ, 1, 2):
        raise SceneError(
            f"the sound of the scene has {found[0]} Hz, {found[1]} channels, {8 * found[2]} bit; "
            f"speech is looked for in {SAMPLE_RATE_HZ} Hz, 1 channel, 16 bit",
            file=path,
            remedy=_REDO,
        )
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768)


_REDO = "delete the file; the next run makes it again from the capture"


def detect_speech(samples: Samples, settings: SubtitlesSettings) -> list[Region]:
    """Stretches of speech in order, each widened by `vad_pad_s` but never into the next one.

    Digital silence is answered without loading anything.
    """
    if not samples.any():
        return []
    with torch_threads(settings.torch_threads):
        import torch
        from silero_vad import get_speech_timestamps, load_silero_vad

        # It begins each sound by forgetting the last one, so one detector gives the same for all as a new one for each.
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
    return _on_grid([(at["start"], at["end"]) for at in found], len(samples))


def _on_grid(spans: Sequence[tuple[int, int]], samples: int) -> list[Region]:
    """Spans in samples as regions on the grid of spectra, rounded outwards, but not into the next one.

    Nor past the last whole column: transcribe() would wait forever for the part of a clip that has no spectrum.
    """
    grain = SAMPLE_RATE_HZ * GRAIN_MS // 1000
    columns = [(start // grain, min(-(-stop // grain), samples // grain)) for start, stop in spans]
    end = samples // grain
    return [
        Region(start * GRAIN_MS, min(stop, following) * GRAIN_MS)
        for (start, stop), (following, _) in pairwise([*columns, (end, end)])
        if start < min(stop, following)
    ]


def joined(regions: Sequence[Region], gap_s: float) -> list[Region]:
    """Regions with the pauses shorter than `gap_s` seconds filled."""
    groups: list[Region] = []
    for region in regions:
        if groups and region.start_ms - groups[-1].stop_ms < gap_s * 1000:
            groups[-1] = Region(groups[-1].start_ms, region.stop_ms)
        else:
            groups.append(region)
    return groups

"""Audio of a scene for speech recognition: 16 kHz, mono, 16 bits, as WAV."""

from __future__ import annotations

import math
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tapemill.core.timing import FrameRange, round_half_up
from tapemill.media.audio_samples import probe_format, read_samples
from tapemill.media.capture_info import SourceFileInfo
from tapemill.media.clock.cfr import CfrGrid
from tapemill.storage.atomic import staged

RATE_HZ = 16_000
# More than the reach of the resampler's filter, so that a scene's first and last samples are those of the whole track.
MARGIN_S = Fraction(1, 10)
# Resamplers take whole rates: a rate that is not whole is taken this many times.
FINE = 100


def extract_audio(
    *,
    source: Path,
    take: SourceFileInfo,
    sound_stream: int | None,
    span: FrameRange,
    target: Path,
    per_picture_second: Fraction = Fraction(1),
) -> None:
    """Write a scene's audio as WAV with exactly round(duration × 16000) samples, each at its time.

    Time zero is the start of the scene's first frame. Silence where the capture has no audio. `per_picture_second` are
    the seconds of audio for each second of the picture, if the audio is stretched.
    """
    first = round_half_up(span.start_s(take.rate) * RATE_HZ)
    count = round_half_up(span.duration_s(take.rate) * RATE_HZ)
    if sound_stream is None:
        samples = np.zeros(count, dtype=np.float32)
    else:
        samples = speech_samples(
            take.located(source),
            sound_stream,
            clock=take,
            first=first,
            count=count,
            per_picture_second=per_picture_second,
        )
    pcm = np.clip(np.round(samples.astype(np.float64) * 2**15), -(2**15), 2**15 - 1).astype("<i2")
    # Opened here: a wave writer that cannot open its file raises again when it is garbage-collected.
    with staged(target) as partial, partial.open("wb") as stream, wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm.tobytes())


def speech_samples(
    source: Path,
    stream_index: int,
    *,
    clock: CfrGrid,
    first: int,
    count: int,
    per_picture_second: Fraction = Fraction(1),
) -> np.ndarray:
    """Read samples [first, first + count) at 16 kHz of a track, counted from frame 0, its channels averaged.

    shape = (count,), float32, full scale ±1. Audio before frame 0 is left out. `per_picture_second` are the seconds of
    audio for each second of the picture, to whose time the samples are brought.
    """
    rate_hz = probe_format(source, stream_index).rate_hz
    if per_picture_second != 1:
        own_hz = rate_hz * per_picture_second
        lead = max(0, first - round_half_up(MARGIN_S * RATE_HZ))
        begin = round_half_up(Fraction(lead, RATE_HZ) * own_hz)
        end = math.ceil((Fraction(first + count, RATE_HZ) + MARGIN_S) * own_hz)
        mono = read_samples(source, stream_index, clock=clock, first=begin, count=end - begin).mean(axis=0)
        return _resample(mono, round_half_up(FINE * own_hz), FINE * RATE_HZ)[first - lead : first - lead + count]
    # Both rates have a sample at each whole multiple of this: starting there keeps their phases as in the whole track.
    period_s = Fraction(1, math.gcd(rate_hz, RATE_HZ))
    lead = max(0, math.floor((Fraction(first, RATE_HZ) - MARGIN_S) / period_s))
    start_s = lead * period_s
    stop_s = Fraction(first + count, RATE_HZ) + MARGIN_S
    begin, end = round_half_up(start_s * rate_hz), math.ceil(stop_s * rate_hz)
    mono = read_samples(source, stream_index, clock=clock, first=begin, count=end - begin).mean(axis=0)
    skip = first - round_half_up(start_s * RATE_HZ)
    return _resample(mono, rate_hz)[skip : skip + count]


def _resample(mono: np.ndarray, rate_hz: int, wanted_hz: int = RATE_HZ) -> np.ndarray:
    """Resample to another rate, shape = (samples,), float32; the first sample keeps its time."""
    if rate_hz == wanted_hz:
        return mono
    resampler = av.AudioResampler("flt", "mono", wanted_hz)
    frame = av.AudioFrame.from_ndarray(mono[None, :].astype(np.float32), format="flt", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), 0
    parts = [part.to_ndarray()[0] for chunk in (frame, None) for part in resampler.resample(chunk)]
    return np.concatenate(parts)

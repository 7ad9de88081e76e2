"""Conditioning of audio for recognition: the channels with speech, without hum, at one level.

Recognition hears its own copy. The settings of the tape's audio change nothing here, and nothing here changes the tape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Channels = Literal["all", "left", "right", "difference"]

# Both channels carry the same sound: nothing to choose.
SAME_CORRELATION = 0.9
# Another combination than all channels has to hear this much more speech. The mean of both has less noise.
CLEARLY_MORE = 1.15
# Mean of two channels relative to the weaker one below which they cancel each other: one is inverted.
CANCELLED = 0.25
SPEECH_HZ = (300.0, 3400.0)
# No voice is lower. Rumble and the mains are.
LOWEST_VOICE_HZ = 70.0
MAINS_HZ = (50.0, 60.0)
# Mains hum wanders, and so does the speed of a recorder.
MAINS_TOLERANCE = 0.015
# A line is hum if it stands out this much above the sound beside it: one of the first harmonics alone, or several.
# All are multiples of one frequency, as exactly as a short passage shows.
SAME_LINES = 0.002
STRONG_LINE_DB, LINE_DB, LEAST_LINES, FIRST_LINES = 30.0, 15.0, 3, 6
HIGHEST_HUM_HZ = 1200.0
# Hum is fitted and subtracted in frames of this length, which may overlap voices for less than a hertz.
HUM_FRAME_S = 2.0
FRAME_S = 0.05
# Loud passages are speech more often than not. Quiet ones are brought to the level that recorders of today have; others
# stay as they are.
LOUD_QUANTILE = 0.95
LOUD_DB = -23.0
GAIN_DB = (6.0, 50.0)
# Below this, samples are rounding noise of a converter.
SILENCE_DB = -85.0
HIGHEST_PEAK = 0.98


@dataclass(frozen=True)
class Conditioned:
    """Sound for recognition, and what was done to it."""

    samples: np.ndarray
    """shape = (samples,), float32, full scale ±1."""
    channels: Channels
    hum_hz: float | None
    """Frequency of the mains hum that was removed with its harmonics."""
    gain_db: float


def condition(samples: np.ndarray, rate_hz: int, heard_speech: Callable[[np.ndarray], float]) -> Conditioned:
    """Condition some seconds of a track, shape = (channels, samples), float32.

    `heard_speech` returns how much speech a detector hears in conditioned samples, in any unit; it is asked only if
    the channels differ. Digital silence stays as it is.
    """
    candidates = channel_combinations(samples)
    best: Conditioned | None = None
    best_heard = 0.0
    for channels, mono in candidates.items():
        clean, hum_hz = remove_hum(mono, rate_hz)
        gain = gain_db(clean, rate_hz)
        found = Conditioned(_amplified(clean, gain), channels, hum_hz, round(gain, 1))
        if len(candidates) == 1:
            return found
        heard = heard_speech(found.samples)
        if best is None or heard > best_heard * CLEARLY_MORE:
            best, best_heard = found, heard
    assert best is not None, "channels that differ are not all silent"
    return best


def channel_combinations(samples: np.ndarray) -> dict[Channels, np.ndarray]:
    """Return mono signals that may carry the speech: the mean first; more only for two channels that differ."""
    mean = samples.mean(axis=0)
    if len(samples) != 2 or not samples.any():
        return {"all": mean}
    left, right = samples
    energy = float(np.sqrt(np.dot(left, left) * np.dot(right, right)))
    if energy and float(np.dot(left, right)) > SAME_CORRELATION * energy:
        return {"all": mean}
    found: dict[Channels, np.ndarray] = {"all": mean, "left": left, "right": right, "difference": (left - right) / 2}
    if np.std(mean) < CANCELLED * min(np.std(left), np.std(right)):
        del found["all"]
    return {name: mono for name, mono in found.items() if mono.any()}


def remove_hum(mono: np.ndarray, rate_hz: int) -> tuple[np.ndarray, float | None]:
    """Remove rumble, and mains hum if there is any. Phase and length stay. Returns the frequency of the hum too."""
    if not mono.any():
        return mono, None
    lines = find_hum(mono, rate_hz)
    clean = _without_lines(mono.astype(np.float64), rate_hz, lines)
    spectrum = np.fft.rfft(clean)
    spectrum[np.fft.rfftfreq(len(mono), 1 / rate_hz) < LOWEST_VOICE_HZ] = 0
    fundamental = min(lines) / round(min(lines) / _mains(min(lines))) if lines else None
    return np.fft.irfft(spectrum, len(mono)).astype(np.float32), fundamental and round(fundamental, 2)


def find_hum(mono: np.ndarray, rate_hz: int) -> list[float]:
    """Frequencies of the lines of mains hum, in Hz; empty if there is none."""
    magnitudes = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    # The hum of the other mains has lines near some multiples too, but not near most.
    return max((_lines_of(mains, magnitudes, rate_hz / len(mono)) for mains in MAINS_HZ), key=len)


def _lines_of(mains_hz: float, magnitudes: np.ndarray, resolution_hz: float) -> list[float]:
    """Lines that are multiples of one frequency near a mains frequency."""
    multiples = range(1, int(HIGHEST_HUM_HZ / mains_hz) + 1)
    found = {n: line for n in multiples if (line := _line(magnitudes, resolution_hz, mains_hz * n)) is not None}
    if not found:
        return []
    strongest = max(found, key=lambda n: found[n][1])
    exact_hz = found[strongest][0] / strongest
    same = {n: line for n, line in found.items() if abs(line[0] / n - exact_hz) < SAME_LINES * exact_hz}
    first = [above_db for n, (_, above_db) in same.items() if n <= FIRST_LINES]
    is_hum = len(first) >= LEAST_LINES or max(first, default=0.0) >= STRONG_LINE_DB
    return [hz for hz, _ in same.values()] if is_hum else []


def _mains(hz: float) -> float:
    """The mains frequency of which this is a multiple."""
    return min(MAINS_HZ, key=lambda mains: abs(hz / mains - max(round(hz / mains), 1)))


def _line(magnitudes: np.ndarray, resolution_hz: float, near_hz: float) -> tuple[float, float] | None:
    """Frequency of a line near a frequency, and dB above the sound beside it; None if nothing stands out there."""
    width = max(round(near_hz * MAINS_TOLERANCE / resolution_hz), 3)
    centre = round(near_hz / resolution_hz)
    if centre - 6 * width < 0 or centre + 6 * width >= len(magnitudes):
        return None
    peak = centre - width + int(np.argmax(magnitudes[centre - width : centre + width + 1]))
    beside = np.concatenate(
        [magnitudes[peak - 5 * width : peak - 2 * width], magnitudes[peak + 2 * width : peak + 5 * width]]
    )
    above_db = 20 * math.log10(max(float(magnitudes[peak]), 1e-12) / max(float(np.median(beside)), 1e-12))
    if above_db < LINE_DB:
        return None
    # The top of the parabola through the logarithms of three columns: exact for a line in a Gaussian window.
    low, top, high = np.log(np.maximum(magnitudes[peak - 1 : peak + 2], 1e-12))
    bend = low - 2 * top + high
    offset = float(0.5 * (low - high) / bend) if bend else 0.0
    return (peak + offset) * resolution_hz, above_db


def _without_lines(mono: np.ndarray, rate_hz: int, lines: Sequence[float]) -> np.ndarray:
    """Subtract lines: their amplitude and phase are fitted in frames that overlap by half."""
    if not lines:
        return mono
    length = min(round(HUM_FRAME_S * rate_hz), len(mono))
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length)
    angles = 2 * np.pi * np.outer(np.arange(length) / rate_hz, lines)
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    fit = np.linalg.pinv(waves * window[:, None])
    hum, weight = np.zeros_like(mono), np.zeros_like(mono)
    for start in [*range(0, len(mono) - length, length // 2), len(mono) - length]:
        at = slice(start, start + length)
        hum[at] += window**2 * (waves @ (fit @ (mono[at] * window)))
        weight[at] += window**2
    clean: np.ndarray = mono - hum / weight
    return clean


def gain_db(mono: np.ndarray, rate_hz: int) -> float:
    """Gain that brings the loud passages in the band of speech to the usual level; 0 unless they are quiet."""
    frame = max(1, round(FRAME_S * rate_hz))
    whole = len(mono) // frame * frame
    if not whole:
        return 0.0
    spectrum = np.fft.rfft(mono[:whole].astype(np.float64))
    frequencies = np.fft.rfftfreq(whole, 1 / rate_hz)
    spectrum[(frequencies < SPEECH_HZ[0]) | (frequencies > SPEECH_HZ[1])] = 0
    band = np.fft.irfft(spectrum, whole).reshape(-1, frame)
    level = float(np.quantile(np.sqrt(np.mean(band**2, axis=1)), LOUD_QUANTILE))
    if level <= 10 ** (SILENCE_DB / 20):
        return 0.0
    gain = LOUD_DB - 20 * math.log10(level)
    return min(gain, GAIN_DB[1]) if gain >= GAIN_DB[0] else 0.0


def _amplified(mono: np.ndarray, gain: float) -> np.ndarray:
    """Amplify, with single peaks (clicks, bumps) cut off rather than the gain lowered for them."""
    return np.clip(mono * np.float32(10 ** (gain / 20)), -HIGHEST_PEAK, HIGHEST_PEAK).astype(np.float32)

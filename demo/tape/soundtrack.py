"""Audio of the demo tape: the clean original, and its degradation by the tape.

Signals are float64 in -1..1 at 48 kHz, mono until the tape; all noise comes from seeds, so that every run gives the
same samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from demo.training.espeak import SAMPLE_RATE_HZ as SPEECH_RATE_HZ

from . import storyboard
from .speech import SpokenSentence

RATE_HZ = storyboard.SAMPLE_RATE_HZ
SAMPLES_PER_FRAME = RATE_HZ // int(storyboard.RATE)
SPEECH_PEAK = 0.45
EDGE_S = 0.02
"""Fade at the ends of scenes, against clicks."""

# A tune for the music box, as semitones above A3 and eighths of a second.
TUNE = ((12, 2), (16, 2), (19, 2), (24, 4), (21, 2), (19, 2), (16, 4), (17, 2), (16, 2), (14, 2), (12, 4))

HUM_HZ = 50
# Level of the hum's harmonics; the odd ones are the stronger, as from a transformer.
HUM = ((1, 0.0045), (2, 0.0012), (3, 0.0025), (5, 0.0012), (7, 0.0006))
HISS = 0.0022
TAPE_BAND_HZ = (70.0, 10_000.0)
TAPE_GAIN = 0.7


def clean_sound(spoken: Sequence[SpokenSentence], recording: np.ndarray) -> np.ndarray:
    """Mix the clean audio. `recording` is what `speech.read_recording` gives. shape = (samples, 2), int16."""
    total = np.zeros(storyboard.FRAMES * SAMPLES_PER_FRAME)
    for index, scene in enumerate(storyboard.SCENES):
        first, stop = scene.span.start_frame * SAMPLES_PER_FRAME, scene.span.stop_frame * SAMPLES_PER_FRAME
        rng = np.random.default_rng((1994, index))
        total[first:stop] = AMBIENCES[scene.ambience](stop - first, rng) * _edges(stop - first)
    for sentence in spoken:
        bounds_s = np.array([sentence.start_s, sentence.stop_s])
        start, stop = np.round(bounds_s * SPEECH_RATE_HZ).astype(int)
        piece = _resampled(recording[start:stop])
        at = sentence.frame * SAMPLES_PER_FRAME
        total[at : at + len(piece)] += SPEECH_PEAK * piece
    return _stereo(total, total)


def tape_sound(clean: np.ndarray) -> np.ndarray:
    """Degrade the audio as a worn tape does: band limits, hum and hiss. shape = (samples, 2), int16."""
    count = len(clean)
    time_s = np.arange(count) / RATE_HZ
    hum = np.zeros(count)
    for harmonic, level in HUM:
        hum += level * np.sin(2 * np.pi * HUM_HZ * harmonic * time_s + harmonic)
    sides = []
    for side in (0, 1):
        band = _band(clean[:, side] / 32768, *TAPE_BAND_HZ) * TAPE_GAIN
        hiss = _noise(count, np.random.default_rng((50, side)), 200, 14_000) * HISS
        sides.append(band + hum + hiss)
    return _stereo(*sides)


def _garden(count: int, rng: np.random.Generator) -> np.ndarray:
    """Wind, and a bird now and then."""
    sound = 0.004 * _noise(count, rng, 80, 600)
    for start in np.arange(0.3, count / RATE_HZ - 0.4, 1.1):
        for syllable in range(3):
            first = int((start + 0.11 * syllable + rng.uniform(0, 0.03)) * RATE_HZ)
            time_s = np.arange(int(0.07 * RATE_HZ)) / RATE_HZ
            sweep = np.sin(2 * np.pi * (3600 + 500 * syllable + 9000 * time_s) * time_s)
            sound[first : first + len(time_s)] += 0.012 * sweep * np.sin(np.pi * time_s / 0.07)
    return sound


def _room(count: int, rng: np.random.Generator) -> np.ndarray:
    return 0.002 * _noise(count, rng, 60, 900)


def _music(count: int, _: np.random.Generator) -> np.ndarray:
    """A music box."""
    sound, at_s = np.zeros(count), 0.15
    for semitone, eighths in TUNE:
        first = int(at_s * RATE_HZ)
        time_s = np.arange(max(0, min(int(1.2 * RATE_HZ), count - first))) / RATE_HZ
        pitch_hz = 220 * 2 ** (semitone / 12)
        for partial, level in ((1, 0.12), (2.76, 0.04), (5.4, 0.015)):
            tone = np.sin(2 * np.pi * pitch_hz * partial * time_s) * np.exp(-time_s * 3.5 * partial)
            sound[first : first + len(time_s)] += level * tone
        at_s += eighths / 8
    return sound


def _water(count: int, rng: np.random.Generator) -> np.ndarray:
    """Small waves that come and go, and a lull from 14 to 17 s."""
    time_s = np.arange(count) / RATE_HZ
    swell = 0.35 + 0.65 * np.sin(2 * np.pi * time_s / 4.3) ** 2
    lull = np.clip(np.abs(time_s - 15.5) - 1.5, 0, 1)
    return np.asarray(0.007 * swell * lull * _noise(count, rng, 150, 2500))


def _silence(count: int, _: np.random.Generator) -> np.ndarray:
    return np.zeros(count)


def _train(count: int, rng: np.random.Generator) -> np.ndarray:
    """Five puffs of steam a second."""
    time_s = np.arange(count) / RATE_HZ
    puff = np.exp(-8 * np.mod(time_s * 5, 1))
    return np.asarray(0.02 * puff * _noise(count, rng, 200, 3000))


def _evening(count: int, rng: np.random.Generator) -> np.ndarray:
    """Crickets."""
    time_s = np.arange(count) / RATE_HZ
    chirp = np.clip(np.sin(2 * np.pi * 32 * time_s), 0, 1) * (np.mod(time_s, 0.7) < 0.35)
    return 0.006 * chirp * np.sin(2 * np.pi * 4600 * time_s) + 0.0015 * _noise(count, rng, 80, 500)


AMBIENCES: dict[storyboard.Ambience, Callable[[int, np.random.Generator], np.ndarray]] = {
    "garden": _garden,
    "room": _room,
    "music": _music,
    "water": _water,
    "silence": _silence,
    "train": _train,
    "evening": _evening,
}


def _edges(count: int) -> np.ndarray:
    """A gain that rises from 0 and falls to 0 at the ends. shape = (count,)."""
    ramp = np.minimum(np.arange(count), np.arange(count)[::-1]) / (EDGE_S * RATE_HZ)
    return np.asarray(np.clip(ramp, 0, 1))


def _noise(count: int, rng: np.random.Generator, low_hz: float, high_hz: float) -> np.ndarray:
    """Noise between two frequencies with an effective value of 1. shape = (count,)."""
    noise = _band(rng.standard_normal(count), low_hz, high_hz)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _band(signal: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Soft limits of the second order below and the fourth above. shape as given."""
    # A length for which the FFT is fast.
    length = -(-len(signal) // RATE_HZ) * RATE_HZ
    frequency_hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    below = 1 / (1 + (low_hz / np.maximum(frequency_hz, 1e-3)) ** 2)
    gain = below / (1 + (frequency_hz / high_hz) ** 4)
    return np.fft.irfft(np.fft.rfft(signal, length) * gain, length)[: len(signal)]


def _resampled(speech: np.ndarray) -> np.ndarray:
    """From 16 kHz to 48 kHz by widening the spectrum. shape = (3 * samples,)."""
    factor = RATE_HZ // SPEECH_RATE_HZ
    spectrum = np.zeros(factor * len(speech) // 2 + 1, complex)
    narrow = np.fft.rfft(speech)
    spectrum[: len(narrow)] = narrow
    return np.fft.irfft(spectrum, factor * len(speech)) * factor


def _stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    both = np.stack([left, right], axis=1)
    return np.asarray(np.clip(np.rint(both * 32767), -32768, 32767).astype("<i2"))

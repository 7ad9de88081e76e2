"""Speech corpus of the demo model: synthetic utterances, and clips of them degraded like tapes."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demo.tape import sentences
from tapemill.core.errors import InputError
from tapemill.storage import atomic

from .espeak import SAMPLE_RATE_HZ, Synthesiser, Utterance, Word

LOG = logging.getLogger("tapemill.demo.corpus")

TRAIN_UTTERANCES, TEST_UTTERANCES = 10_000, 600
# Share of word salads in the training text: names must not be guessed from the grammar alone.
SHUFFLED = 0.15


@dataclass(frozen=True)
class Placed:
    """One utterance in a clip; seconds from the clip's start. `stop_s` may lie past the end of a clip that was cut."""

    start_s: float
    stop_s: float
    utterance: Utterance


@dataclass(frozen=True)
class Layout:
    """Layout of utterances in a clip. Pauses are drawn uniformly up to these lengths."""

    clip_s: float
    lead_s: float = 2.5
    gap_s: float = 2.0
    tail_s: float = 3.0
    clean: bool = False
    """Leave out the defects of a tape."""
    cut: bool = False
    """Let the last utterance run over the end of the clip."""


def make_corpus(*, train: Path, test: Path) -> None:
    """Synthesise the corpus: 4.9 hours to train on, and sentences, voices and speeds held out to test with."""
    synthesiser = Synthesiser()
    for target, count, seed in ((train, TRAIN_UTTERANCES, 1), (test, TEST_UTTERANCES, 2)):
        utterances = build(synthesiser, count, seed=seed, for_test=target == test)
        save(target, utterances)
        speech_s = sum(utterance.duration_s for utterance in utterances)
        LOG.info("%s: %d utterances, %.0f s of speech", target.name, count, speech_s)


def build(synthesiser: Synthesiser, count: int, *, seed: int, for_test: bool) -> list[Utterance]:
    """Draw and speak `count` sentences of one half of the split."""
    rng = random.Random(seed)
    variants = sentences.TEST_VARIANTS if for_test else sentences.TRAIN_VARIANTS
    speeds = sentences.TEST_SPEEDS_WPM if for_test else sentences.TRAIN_SPEEDS_WPM
    utterances: list[Utterance] = []
    while len(utterances) < count:
        text = sentences.sentence(rng, shuffled=0.0 if for_test else SHUFFLED)
        if sentences.held_out(text) == for_test:
            utterances.append(speak(synthesiser, text, rng, variants, speeds))
    return utterances


def speak(
    synthesiser: Synthesiser, text: str, rng: random.Random, variants: Sequence[str], speeds_wpm: Sequence[int]
) -> Utterance:
    """Speak a sentence in a voice, at a speed and with an intonation drawn from `rng`."""
    voice = f"{rng.choice(sentences.ACCENTS)}+{rng.choice(variants)}"
    speed_wpm = rng.choice(speeds_wpm)
    pitch, pitch_range = rng.randint(25, 75), rng.randint(20, 80)
    return synthesiser.speak(text, voice=voice, speed_wpm=speed_wpm, pitch=pitch, pitch_range=pitch_range)


def save(target: Path, utterances: Sequence[Utterance]) -> None:
    """Write utterances as one .npz: all samples end to end, their counts, and the rest as JSON."""
    facts = [
        {
            "text": utterance.text,
            "words": [[word.text, word.start_s, word.stop_s] for word in utterance.words],
            "voice": utterance.voice,
            "speed_wpm": utterance.speed_wpm,
        }
        for utterance in utterances
    ]
    with atomic.staged(target) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            samples=np.concatenate([utterance.audio for utterance in utterances]),
            counts=np.array([len(utterance.audio) for utterance in utterances]),
            facts=np.array(json.dumps(facts)),
        )


def load(source: Path) -> list[Utterance]:
    """Read what `save` wrote. Raises InputError if it is not there."""
    if not source.exists():
        raise InputError("the speech corpus is not there", file=source, remedy="run the rule make_speech_corpus")
    with np.load(source, allow_pickle=False) as archive:
        pieces = np.split(archive["samples"], np.cumsum(archive["counts"])[:-1])
        facts = json.loads(str(archive["facts"]))
    return [
        Utterance(
            text=fact["text"],
            audio=piece,
            words=tuple(Word(*word) for word in fact["words"]),
            voice=fact["voice"],
            speed_wpm=fact["speed_wpm"],
        )
        for fact, piece in zip(facts, pieces, strict=True)
    ]


def render(
    utterances: Sequence[Utterance], rng: np.random.Generator, layout: Layout
) -> tuple[np.ndarray, list[Placed]]:
    """Lay utterances out in one clip, as many as fit, and make it sound like a tape.

    Returns the samples, shape = (samples,), float32 at 16 kHz in -1..1, and where each utterance is.
    """
    placed = _place(utterances, rng, layout)
    end_s = placed[-1].stop_s if placed else rng.uniform(1, layout.clip_s)
    count = int(min(end_s + rng.uniform(0.05, layout.tail_s), layout.clip_s) * SAMPLE_RATE_HZ)
    samples, speech = np.zeros(count), np.zeros(count, bool)
    for item in placed:
        first = int(item.start_s * SAMPLE_RATE_HZ)
        piece = item.utterance.audio[: count - first] / 32768 * rng.uniform(0.6, 1)
        samples[first : first + len(piece)] += piece
        speech[first : first + len(piece)] = True
    if not layout.clean:
        samples = degrade(samples, speech if placed else None, rng)
    return (np.round(samples * 32767) / 32768).astype(np.float32), placed


def _place(utterances: Sequence[Utterance], rng: np.random.Generator, layout: Layout) -> list[Placed]:
    time_s = 0.0 if rng.random() < 0.15 else rng.uniform(0, layout.lead_s)
    placed: list[Placed] = []
    for utterance in utterances:
        stop_s = time_s + utterance.duration_s
        may_be_cut = layout.cut and bool(placed) and time_s < layout.clip_s - 0.1
        if stop_s > layout.clip_s and not may_be_cut:
            break
        placed.append(Placed(time_s, stop_s, utterance))
        time_s = stop_s + rng.uniform(0.25, layout.gap_s)
    return placed


def degrade(samples: np.ndarray, speech: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """The sound of home video, of random kind and strength: band limits, tilt, hiss, mains hum, music, level.

    `speech` marks the samples that hold speech, None if there is none. shape = (samples,), float32 out.
    """
    size = len(samples)
    # A length that the FFT likes.
    length = -(-size // 8000) * 8000
    frequency_hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(samples, length)
    level = float(np.sqrt((samples[speech] ** 2).mean())) if speech is not None else 10 ** rng.uniform(-3, 0)
    if rng.random() < 0.6:
        spectrum *= 1 / (1 + (frequency_hz / np.exp(rng.uniform(np.log(2800), np.log(8000)))) ** 8)
    if rng.random() < 0.4:
        spectrum *= 1 / (1 + (rng.uniform(60, 250) / np.maximum(frequency_hz, 1)) ** 4)
    if rng.random() < 0.5:
        spectrum *= (np.maximum(frequency_hz, 50) / 1000) ** rng.uniform(-0.4, 0.4)
    if rng.random() >= 0.15:
        spectrum = spectrum + _noise(frequency_hz, length, level, rng)
    result = np.fft.irfft(spectrum, length)
    if rng.random() < 0.25:
        result += _tune(length, level * 10 ** (-rng.uniform(8, 30) / 20), rng)
    result = result[:size]
    peak = float(np.abs(result).max())
    gain = 10 ** rng.uniform(-1.5, -0.02) / max(peak, 1e-9) if speech is not None else 1 / max(peak, 1)
    return (result * gain).astype(np.float32)


def _noise(frequency_hz: np.ndarray, length: int, level: float, rng: np.random.Generator) -> np.ndarray:
    """Spectrum of hiss with some hum, 5 to 40 dB below `level`. shape = (length // 2 + 1,), complex."""
    noise = rng.standard_normal(len(frequency_hz)) + 1j * rng.standard_normal(len(frequency_hz))
    noise *= np.maximum(frequency_hz, 40) ** -rng.uniform(0, 1)
    if rng.random() < 0.5:
        noise *= 1 / (1 + (frequency_hz / rng.uniform(3000, 8000)) ** 8)
    if rng.random() < 0.3:
        for harmonic in range(1, 8):
            index = int(rng.choice([50, 60]) * harmonic * length / SAMPLE_RATE_HZ)
            noise[index] += np.abs(noise).mean() * 300 * rng.random() / harmonic
    noise *= length * level * 10 ** (-rng.uniform(5, 40) / 20) / np.sqrt(2 * (np.abs(noise) ** 2).sum())
    return noise


def _tune(length: int, level: float, rng: np.random.Generator) -> np.ndarray:
    """Random notes with three harmonics. shape = (length,), float64."""
    tune = np.zeros(length)
    first = 0
    while first < length:
        count = min(int(rng.uniform(0.2, 1.0) * SAMPLE_RATE_HZ), length - first)
        time_s = np.arange(count) / SAMPLE_RATE_HZ
        pitch_hz = 110 * 2 ** (rng.integers(0, 36) / 12)
        decay = np.exp(-time_s * rng.uniform(0, 4))
        tones = sum(np.sin(2 * np.pi * pitch_hz * harmonic * time_s) / harmonic for harmonic in (1, 2, 3))
        tune[first : first + count] += level * decay * tones
        first += count
    return tune

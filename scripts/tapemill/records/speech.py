"""Speech regions and recognised segments, with times in whole milliseconds of the scene."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpeechRegion:
    """A stretch in which somebody speaks."""

    start_ms: int
    stop_ms: int


@dataclass(frozen=True)
class Word:
    """One word of a segment, with the white space before it if the language writes any."""

    start_ms: int
    stop_ms: int
    text: str
    probability: float


@dataclass(frozen=True)
class Segment:
    """Recognised text between two times, with the recogniser's confidence."""

    start_ms: int
    stop_ms: int
    text: str
    avg_logprob: float
    """Mean natural logarithm of the probability of the tokens of the window this came from."""
    no_speech_prob: float
    compression_ratio: float
    """Bytes of the window's text over its compressed bytes: high for repetitive text."""
    temperature: float
    words: tuple[Word, ...] = ()
    """Empty unless word times were asked for."""

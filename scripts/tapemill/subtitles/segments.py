"""Speech regions and recognised segments, with times in whole milliseconds of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class SpeechRegion:
    """A stretch in which somebody speaks."""

    start_ms: int
    stop_ms: int

    def to_plain(self) -> dict[str, int]:
        """As JSON values."""
        return asdict(self)


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

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_plain`. Raises KeyError or TypeError on anything else."""
        return cls(**{**values, "words": tuple(Word(**word) for word in values["words"])})

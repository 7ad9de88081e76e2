"""Exact time: rates are fractions, frame ranges are half-open, seconds are derived and never stored alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TypeVar

Moment = TypeVar("Moment", float, datetime)
Item = TypeVar("Item")


def parse_fraction(text: str) -> Fraction:
    """Parse "30000/1001", "25" or "16:9". Raises ValueError on anything else."""
    return Fraction(text.replace(":", "/"))


def format_fraction(value: Fraction) -> str:
    """Format with a denominator always, so that a fraction is never mistaken for a rounded number."""
    return f"{value.numerator}/{value.denominator}"


def round_half_up(value: Fraction) -> int:
    """Round to the nearest integer, halves away from zero, as ffmpeg rounds time stamps (AV_ROUND_NEAR_INF)."""
    if value < 0:
        return -round_half_up(-value)
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def milliseconds(seconds: Fraction) -> int:
    """Convert seconds to whole milliseconds, the unit of Matroska, SRT and WebVTT."""
    return round_half_up(seconds * 1000)


def timestamp(seconds: Fraction, decimal: str = ".") -> str:
    """Format seconds as `01:02:03.456`, for people and for EDL-like lists."""
    total = milliseconds(seconds)
    minutes, rest = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{decimal}{rest % 1000:03d}"


@dataclass(frozen=True, order=True)
class FrameRange:
    """Frames [start_frame, stop_frame) of the capture's constant-rate timeline."""

    start_frame: int
    stop_frame: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_frame < self.stop_frame:
            raise ValueError(f"a frame range needs 0 <= start < stop, not [{self.start_frame}, {self.stop_frame})")

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.stop_frame - self.start_frame

    def start_s(self, rate: Fraction) -> Fraction:
        """Start of the first frame, in seconds."""
        return self.start_frame / rate

    def stop_s(self, rate: Fraction) -> Fraction:
        """End of the last frame, in seconds."""
        return self.stop_frame / rate

    def duration_s(self, rate: Fraction) -> Fraction:
        """Length in seconds."""
        return self.frames / rate


def merge_intervals(intervals: Iterable[tuple[Moment, Moment]]) -> Iterator[tuple[Moment, Moment]]:
    """Merge overlapping (start, stop) intervals; yield them in order, without empty ones."""
    current: tuple[Moment, Moment] | None = None
    for start, stop in sorted(intervals):
        if stop <= start:
            continue
        if current is None or start > current[1]:
            if current is not None:
                yield current
            current = start, stop
        else:
            current = current[0], max(current[1], stop)
    if current is not None:
        yield current


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, in their order, from the middle of as many equal parts.

    Of many items the very first and last are therefore never among them.
    """
    count = min(len(items), count)
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]

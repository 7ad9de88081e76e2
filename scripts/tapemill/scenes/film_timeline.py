"""Timeline of a film tape: which film frames are shown once, twice or not, so that picture and audio stay together.

Frame k of the tape is shown in the time of fields from k * spacing on. Without interruptions of the cadence each film
frame is shown once. Around an interruption some film frames have lost fields, so that there are more or fewer of them
than times.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

# Limits of the time of a film frame before its own, in film frames. An uninterrupted cadence stays from -0.8 to 0.2,
# because the first film frame of the tape may have lost fields.
EARLIEST, LATEST = Fraction(-13, 10), Fraction(7, 10)
# Film frames before an interruption that are looked at, for one with the fewest or most fields.
NEAR: Final = 6
# The tape becomes longer or shorter than the capture by this many film frames at most.
MAX_DIFFERENCE: Final = 1


def times_shown(fields: Sequence[int], spacing: Fraction) -> list[int]:
    """Return how often each film frame, of so many fields, is shown: 0, 1 or 2.

    `spacing` is the number of fields in the time of a film frame.
    """
    shown: list[int] = []
    start = count = 0
    for length in fields:
        early = Fraction(start) / spacing - count
        shown.append(1)
        count += 1
        if early < EARLIEST:
            count -= _drop(fields, shown)
        elif early > LATEST:
            count += _repeat(fields, shown)
        start += length
    while count - Fraction(start) / spacing > MAX_DIFFERENCE and (dropped := _drop(fields, shown)):
        count -= dropped
    while Fraction(start) / spacing - count > MAX_DIFFERENCE and (repeated := _repeat(fields, shown)):
        count += repeated
    return shown


def _drop(fields: Sequence[int], shown: list[int]) -> int:
    """Drop the shortest of the last film frames; return how many were dropped."""
    recent = _shown_once(shown)
    if recent:
        shown[min(recent, key=lambda index: (fields[index], -index))] = 0
    return min(1, len(recent))


def _repeat(fields: Sequence[int], shown: list[int]) -> int:
    """Repeat the longest of the last film frames; return how many were repeated."""
    # Each frame of the tape is made of a field of its own.
    recent = [index for index in _shown_once(shown) if fields[index] > 1]
    if recent:
        shown[max(recent, key=lambda index: (fields[index], index))] = 2
    return min(1, len(recent))


def _shown_once(shown: Sequence[int]) -> list[int]:
    return [index for index in range(max(0, len(shown) - NEAR), len(shown)) if shown[index] == 1]

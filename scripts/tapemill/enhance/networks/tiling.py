"""How a length (of time, of lines, of samples) is covered by overlapping parts, and how these are blended again.

Everything is worked out along one axis; a tile's weight is the product of its axes'. Weights of all parts sum up to 1
at each place, so that blending is a weighted sum and nothing has to be normalised afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, cos, pi
from typing import Literal

Blend = Literal["smooth", "plain"]


@dataclass(frozen=True)
class Tile:
    """One of the parts that cover a length."""

    start: int
    size: int
    weights: tuple[float, ...]
    """Of each place of the part's result, which is `scale` times as long as the part."""

    @property
    def stop(self) -> int:
        """The first place after it."""
        return self.start + self.size


@cache
def split_overlapping(
    length: int, size: int, overlap: int, *, scale: int = 1, blend: Blend = "smooth", frames: bool = False
) -> tuple[Tile, ...]:
    """Cover `length` by parts of `size` that overlap by at least `overlap`; the last one is moved back to end with it.

    With `smooth`, weights rise and fall as squared sines in the middle of overlaps, so that no seam shows. With
    `plain` they are what the test script of VRT does: inner borders of tiles are dropped, half the overlap of the
    *result's* samples on either side, and what still overlaps is averaged; `frames` are averaged without dropping any.
    Raises ValueError for an overlap that leaves nothing.
    """
    if not 0 <= overlap < size or (blend == "plain" and not frames and overlap == 0 and size < length):
        raise ValueError(f"parts of {size} cannot overlap by {overlap}")
    if size >= length:
        return (Tile(0, length, (1.0,) * (length * scale)),)
    starts = [*range(0, length - size, size - overlap), length - size]
    if blend == "smooth":
        raw = [_smooth(place, starts, size, scale) for place in range(len(starts))]
    else:
        dropped = (0, 0) if frames else (overlap // 2, ceil(overlap / 2))
        raw = [_plain(start, length, size, scale, dropped) for start in starts]
    totals = [0.0] * (length * scale)
    for start, weights in zip(starts, raw, strict=True):
        for place, weight in enumerate(weights, start * scale):
            totals[place] += weight
    return tuple(
        Tile(start, size, tuple(weight / totals[place] for place, weight in enumerate(weights, start * scale)))
        for start, weights in zip(starts, raw, strict=True)
    )


def _smooth(place: int, starts: Sequence[int], size: int, scale: int) -> list[float]:
    """Rising over the overlap with the part before, falling over that with the part after."""
    before = starts[place - 1] + size - starts[place] if place else 0
    after = starts[place] + size - starts[place + 1] if place + 1 < len(starts) else 0
    return [
        _ramp(at + 0.5, before * scale) * _ramp(size * scale - at - 0.5, after * scale) for at in range(size * scale)
    ]


def _ramp(distance: float, width: int) -> float:
    """From 0 to 1 in the middle half of the overlap: next to its border a network sees less than elsewhere."""
    if width == 0:
        return 1.0
    rise = min(max(2 * distance / width - 0.5, 0.0), 1.0)
    return (1 - cos(pi * rise)) / 2


def _plain(start: int, length: int, size: int, scale: int, dropped: tuple[int, int]) -> list[float]:
    first = dropped[0] if start > 0 else 0
    last = dropped[1] if start + size < length else 0
    return [1.0 if first <= at < size * scale - last else 0.0 for at in range(size * scale)]


def reflected_indices(length: int, wanted: int, *, repeat_edge: bool = False) -> list[int]:
    """Places of `length` by which it is continued to `wanted` by reflection at its end, and again as often as needed.

    The last place is the mirror and does not come twice, unless `repeat_edge`. A length of 1 is repeated.
    """
    period = 2 * length if repeat_edge else max(2 * length - 2, 1)
    places = (place % period for place in range(wanted))
    return [place if place < length else (period - 1 if repeat_edge else period) - place for place in places]


def padded_length(length: int, *, multiple: int, least: int) -> int:
    """The smallest length from `length` on that is a multiple and not below `least`."""
    return ceil(max(length, least) / multiple) * multiple

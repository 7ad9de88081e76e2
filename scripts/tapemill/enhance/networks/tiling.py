"""Split a length (of time, lines or samples) into overlapping tiles, with the weights that blend them again.

All functions work along one axis; the weight of a two-dimensional tile is the product of its axes'. The weights of all
tiles sum to 1 at each position, so that blending is a weighted sum without normalisation.
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
    """Tile of a length."""

    start: int
    size: int
    weights: tuple[float, ...]
    """Of each position of the tile's result, which is `scale` times as long as the tile."""

    @property
    def stop(self) -> int:
        """First position after it."""
        return self.start + self.size


@cache
def split_overlapping(
    length: int, size: int, overlap: int, *, scale: int = 1, blend: Blend = "smooth", frames: bool = False
) -> tuple[Tile, ...]:
    """Split `length` into tiles of `size` that overlap by at least `overlap`; the last one is moved back to fit.

    With `smooth`, weights rise and fall as squared sines in the middle of overlaps, so that no seam is visible. With
    `plain` they are those of the test script of VRT: inner borders of tiles are dropped, half the overlap of the
    *result's* samples on either side, and the rest of the overlap is averaged; `frames` are averaged without dropping
    any. Raises ValueError for an overlap that leaves nothing.
    """
    if not 0 <= overlap < size or (blend == "plain" and not frames and overlap == 0 and size < length):
        raise ValueError(f"tiles of {size} cannot overlap by {overlap}")
    if size >= length:
        return (Tile(0, length, (1.0,) * (length * scale)),)
    starts = [*range(0, length - size, size - overlap), length - size]
    if blend == "smooth":
        raw = [_smooth(index, starts, size, scale) for index in range(len(starts))]
    else:
        dropped = (0, 0) if frames else (overlap // 2, ceil(overlap / 2))
        raw = [_plain(start, length, size, scale, dropped) for start in starts]
    totals = [0.0] * (length * scale)
    for start, weights in zip(starts, raw, strict=True):
        for index, weight in enumerate(weights, start * scale):
            totals[index] += weight
    return tuple(
        Tile(start, size, tuple(weight / totals[index] for index, weight in enumerate(weights, start * scale)))
        for start, weights in zip(starts, raw, strict=True)
    )


def _smooth(index: int, starts: Sequence[int], size: int, scale: int) -> list[float]:
    """Weights that rise over the overlap with the tile before and fall over that with the tile after."""
    before = starts[index - 1] + size - starts[index] if index else 0
    after = starts[index] + size - starts[index + 1] if index + 1 < len(starts) else 0
    return [
        _ramp(position + 0.5, before * scale) * _ramp(size * scale - position - 0.5, after * scale)
        for position in range(size * scale)
    ]


def _ramp(distance: float, width: int) -> float:
    """Weight from 0 to 1 in the middle half of the overlap: near its border a network has less context."""
    if width == 0:
        return 1.0
    rise = min(max(2 * distance / width - 0.5, 0.0), 1.0)
    return (1 - cos(pi * rise)) / 2


def _plain(start: int, length: int, size: int, scale: int, dropped: tuple[int, int]) -> list[float]:
    """Weights of 1, and 0 at inner borders."""
    first = dropped[0] if start > 0 else 0
    last = dropped[1] if start + size < length else 0
    return [1.0 if first <= position < size * scale - last else 0.0 for position in range(size * scale)]


def reflected_indices(length: int, wanted: int, *, repeat_edge: bool = False) -> list[int]:
    """Indices that extend `length` to `wanted` by reflection at its end, again as often as needed.

    The last index is the mirror and does not occur twice, unless `repeat_edge`. A length of 1 is repeated.
    """
    period = 2 * length if repeat_edge else max(2 * length - 2, 1)
    indices = (index % period for index in range(wanted))
    return [index if index < length else (period - 1 if repeat_edge else period) - index for index in indices]


def padded_length(length: int, *, multiple: int, least: int) -> int:
    """The smallest multiple of `multiple` that is not below `length` and `least`."""
    return ceil(max(length, least) / multiple) * multiple

"""Segmentation: merge very short scenes and split long ones at quiet points."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise

import numpy as np

from tapemill.core.timing import FrameRange

LOUDEST_PART = 90  # percentile above which movement and audio count as equally active


def merge_short_split_long(
    borders: Iterable[int],
    *,
    fixed: Collection[int] = (),
    movement: np.ndarray,
    power: np.ndarray,
    shortest: int,
    longest: int,
    smooth: int,
) -> tuple[FrameRange, ...]:
    """Return scenes that cover all frames, none longer than `longest`, as few as possible under `shortest` frames.

    `borders` are first frames of scenes, `fixed` those of scenes that are never merged with the one before. `movement`
    (difference of each frame from the one before) and `power` (mean square of the audio) have shape (frames,);
    `smooth` is the length in frames of a pause worth finding. A scene stays shorter than `shortest` only between fixed
    borders, and where merging it with either neighbour would exceed `longest`.
    """
    frames = len(movement)
    inside = sorted({border for border in borders if 0 < border < frames})
    parts = pairwise([0, *sorted(fixed), frames])
    edges = [edge for part in parts for edge in _merge_short(_edges(part, inside), movement, shortest, longest)[:-1]]
    edges.append(frames)
    activity = _smooth(movement, smooth), _smooth(np.log10(power + 1e-9), smooth)
    edges = [edge for a, b in pairwise(edges) for edge in (a, *_split_points(a, b, activity, shortest, longest))]
    return tuple(FrameRange(a, b) for a, b in pairwise([*edges, frames]))


def _edges(part: tuple[int, int], borders: Iterable[int]) -> list[int]:
    start, stop = part
    return [start, *(border for border in borders if start < border < stop), stop]


def _merge_short(edges: list[int], movement: np.ndarray, shortest: int, longest: int) -> list[int]:
    """Remove borders of very short scenes, the shortest scene first; the weaker of its two borders is removed."""
    edges = list(edges)
    while True:
        lengths = np.diff(edges)
        for index in np.argsort(lengths, kind="stable"):
            if lengths[index] >= shortest:
                return edges
            weaker = _border_to_remove(int(index), edges, lengths, movement, longest)
            if weaker is not None:
                del edges[weaker]
                break
        else:
            return edges


def _border_to_remove(
    index: int, edges: list[int], lengths: np.ndarray, movement: np.ndarray, longest: int
) -> int | None:
    candidates = []
    for border, neighbour in ((index, index - 1), (index + 1, index + 1)):
        if not 0 <= neighbour < len(lengths):
            continue
        # A scene that is too long already will be split at a quiet point anyway.
        if lengths[index] + lengths[neighbour] <= longest or lengths[neighbour] > longest:
            candidates.append((float(movement[edges[border]]), int(lengths[neighbour]), border))
    return min(candidates)[2] if candidates else None


def _split_points(
    start: int, stop: int, activity: tuple[np.ndarray, np.ndarray], shortest: int, longest: int
) -> list[int]:
    """Return first frames of the second and later parts of [start, stop): each at the quietest point in its window."""
    min_length = max(shortest, longest // 3)
    found: list[int] = []
    if stop - start <= longest:
        return found
    # Rounded, so that equally quiet points are equal.
    cost = np.round(sum(_normalise(measure[start:stop]) for measure in activity), 6)
    begin, end = 0, stop - start
    while end - begin > longest:
        window = slice(begin + max(1, longest // 2), min(begin + longest, end - min_length) + 1)
        # The last of equally quiet points: fewer parts.
        begin = window.stop - 1 - int(np.argmin(cost[window][::-1]))
        found.append(start + begin)
    return found


def _normalise(values: np.ndarray) -> np.ndarray:
    """Scale to 0, the quietest of a scene, to 1. shape = values'."""
    low, high = float(values.min()), float(np.percentile(values, LOUDEST_PART))
    if high - low < 1e-9:
        return np.zeros(len(values))
    return np.clip((values - low) / (high - low), 0, 1)


def _smooth(values: np.ndarray, length: int) -> np.ndarray:
    """Return the mean over `length` frames around each border. shape = values'."""
    before = length // 2
    padded = np.pad(values.astype(np.float64), (before, length - 1 - before), mode="edge")
    return np.convolve(padded, np.full(length, 1 / length), mode="valid")

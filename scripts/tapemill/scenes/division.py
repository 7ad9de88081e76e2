"""From borders that were found to scenes of a useful length: very short ones are merged, long ones split."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from ..timing import Span

LOUDEST_PART = 90  # percentile above which movement and sound count as equally unquiet


def divide(
    borders: Iterable[int], *, movement: np.ndarray, power: np.ndarray, shortest: int, longest: int, smooth: int
) -> tuple[Span, ...]:
    """Scenes that cover all frames, none longer than `longest`, as few as possible shorter than `shortest` frames.

    `borders` are first frames of scenes. `movement` (difference of each frame from the one before) and `power` (mean
    square of the sound) have shape (frames,); `smooth` is the length in frames of a pause worth finding. A scene stays
    shorter than `shortest` only where merging it with either neighbour would exceed `longest`.
    """
    frames = len(movement)
    inside = sorted({border for border in borders if 0 < border < frames})
    edges = _merged([0, *inside, frames], movement, shortest, longest)
    unquiet = _smoothed(movement, smooth), _smoothed(np.log10(power + 1e-9), smooth)
    edges = [edge for a, b in pairwise(edges) for edge in (a, *_splits(a, b, unquiet, shortest, longest))]
    return tuple(Span(a, b) for a, b in pairwise([*edges, frames]))


def _merged(edges: list[int], movement: np.ndarray, shortest: int, longest: int) -> list[int]:
    """Without the borders of very short scenes, the shortest scene first; of its two borders the weaker goes."""
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
        # What is too long already will be split at a quiet place anyway.
        if lengths[index] + lengths[neighbour] <= longest or lengths[neighbour] > longest:
            candidates.append((float(movement[edges[border]]), int(lengths[neighbour]), border))
    return min(candidates)[2] if candidates else None


def _splits(start: int, stop: int, unquiet: tuple[np.ndarray, np.ndarray], shortest: int, longest: int) -> list[int]:
    """First frames of the second and later parts of [start, stop): each at the quietest place in its window."""
    least = max(shortest, longest // 3)
    found: list[int] = []
    while stop - start > longest:
        window = slice(start + max(1, longest // 2), min(start + longest, stop - least) + 1)
        cost = sum(_level(measure[start:stop], measure[window]) for measure in unquiet)
        # Of equally quiet places the last: fewer parts. Rounded, so that equal means equal.
        places = np.round(np.asarray(cost), 6)
        start = window.stop - 1 - int(np.argmin(places[::-1]))
        found.append(start)
    return found


def _level(scene: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The window's values between 0, the quietest of the scene, and 1. shape = window's."""
    low, high = float(scene.min()), float(np.percentile(scene, LOUDEST_PART))
    if high - low < 1e-9:
        return np.zeros(len(window))
    return np.clip((window - low) / (high - low), 0, 1)


def _smoothed(values: np.ndarray, length: int) -> np.ndarray:
    """Mean over `length` frames around each border. shape = values'."""
    before = length // 2
    padded = np.pad(values.astype(np.float64), (before, length - 1 - before), mode="edge")
    return np.convolve(padded, np.full(length, 1 / length), mode="valid")

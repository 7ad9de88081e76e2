"""Cadence tracking: the most likely division of all fields of a recording into film frames (Viterbi's algorithm).

The cadence goes on where nothing moves, and is interrupted where the video was edited after it was made from film.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tapemill.media.field_match import STILL_LEVELS, STILL_SHARE
from tapemill.media.film.cadence import Pattern
from tapemill.media.film.rhythm import PATTERNS

# A field and the next one are of different film frames if they comb more than both neighbours do on average, by this
# share of the movement. On average, because fades change all combing.
CROSSING: Final = 0.2
# Fields over which movement is measured: two periods of the longer pattern.
AROUND: Final = 11
# Cost of an interruption, in fields whose combing contradicts the cadence. A wrong phase contradicts two of five.
INTERRUPTION: Final = 3.0
# It costs more within a film frame, and least between two frames of the video, where edits are.
WITHIN_FILM_FRAME, WITHIN_FRAME = 0.25, 0.1
# Fields over which the cadence is compared with what combs, and how much more, as a share of the movement, ends of film
# frames comb there than their middles. Film reaches 1.2 to 2, drawings that are shown for two film frames half of
# that, video 0.2.
COMPARED: Final = 21
CONTRAST: Final = 0.5
LARGEST_PEAK: Final = 2.0


@dataclass(frozen=True)
class TrackedCadence:
    """Division of the fields of a recording into film frames."""

    fields: tuple[int, ...]
    """Fields of each film frame."""
    follows: np.ndarray
    """For each field in which something moves, in order, whether combing follows the cadence around it."""


def track_cadence(near: np.ndarray, far: np.ndarray, fields: int, pattern: Pattern) -> TrackedCadence:
    """Divide a recording with so many fields, at least one, by the combing that `FieldCombing` measured."""
    if len(far) < AROUND:
        return TrackedCadence((*[2] * (fields // 2), *[1] * (fields % 2)), np.zeros(0, dtype=bool))
    movement, is_moving = _movement(near, far)
    peaks = np.clip(_peaks(near) / np.maximum(movement, STILL_LEVELS), -LARGEST_PEAK, LARGEST_PEAK)
    # Fields that could not be decoded repeat the last one.
    missing = fields - 1 - len(peaks)
    observed = np.pad(np.where(is_moving, peaks > CROSSING, np.nan), (0, missing), constant_values=np.nan)
    borders = _borders(observed, pattern)
    is_border = np.zeros(len(observed), dtype=bool)
    is_border[borders] = True
    follows = _contrast(peaks, is_border[: len(peaks)], is_moving) > CONTRAST
    lengths = np.diff([-1, *borders, fields - 1]).tolist()
    return TrackedCadence(tuple(lengths), follows[is_moving])


def _peaks(near: np.ndarray) -> np.ndarray:
    padded = np.pad(near, 1, mode="edge")
    peaks: np.ndarray = near - (padded[:-2] + padded[2:]) / 2
    return peaks


def _movement(near: np.ndarray, far: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what movement adds to the combing of fields three apart, around each field, and whether that is any."""
    # Of any three successive fields two are of one film frame.
    still = _around(near, 3).min(axis=1)
    # Fields j - 1 and j + 2 are around the same moment as j and j + 1.
    apart = np.pad(far, 1, mode="edge")
    movement = np.median(_around(np.maximum(apart - still, 0.0), AROUND), axis=1)
    margin = STILL_SHARE * np.median(_around(still, AROUND), axis=1) + STILL_LEVELS
    return movement, movement >= margin


def _contrast(peaks: np.ndarray, is_border: np.ndarray, is_moving: np.ndarray) -> np.ndarray:
    """Return how much more ends of film frames comb than their middles, around each field, as a share of movement."""
    means: list[np.ndarray] = []
    for chosen in (is_border & is_moving, ~is_border & is_moving):
        total, count = _around(peaks * chosen, COMPARED).sum(axis=1), _around(chosen, COMPARED).sum(axis=1)
        means.append(total / np.maximum(count, 1))
    contrast: np.ndarray = means[0] - means[1]
    return contrast


def _around(values: np.ndarray, count: int) -> np.ndarray:
    """Return an odd number of values around each one, shape = (values, count). Edges go on beyond the ends."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, count // 2, mode="edge"), count)


def _borders(observed: np.ndarray, pattern: Pattern) -> list[int]:
    """Return the last field of each film frame but the last."""
    cycle = np.array(PATTERNS[pattern], dtype=float)
    period = len(cycle)
    # Contradiction of each field to an end of a film frame, and to its middle; none where nothing moves.
    to_end, to_middle = (observed == 0).astype(float), (observed == 1).astype(float)
    costs = np.zeros(period)
    came_from = np.zeros((len(observed), period), dtype=np.int8)
    is_interrupted = np.zeros((len(observed), period), dtype=bool)
    within = WITHIN_FILM_FRAME * (1 - cycle)
    before = (np.arange(period) - 1) % period
    for field in range(len(observed)):
        # State p: the field is the p-th of the cycle. The next one is p + 1, or any other after an interruption.
        going_on = (costs + np.where(cycle, to_end[field], to_middle[field]))[before]
        breaking = costs + within + (INTERRUPTION + to_end[field] + WITHIN_FRAME * (field % 2 == 0))
        best = int(breaking.argmin())
        breaks = breaking[best] < going_on
        is_interrupted[field] = breaks
        came_from[field] = np.where(breaks, best, before)
        costs = np.where(breaks, breaking[best], going_on)
    state = int(costs.argmin())
    borders = []
    for field in range(len(observed) - 1, -1, -1):
        earlier = int(came_from[field, state])
        if is_interrupted[field, state] or cycle[earlier]:
            borders.append(field)
        state = earlier
    return borders[::-1]

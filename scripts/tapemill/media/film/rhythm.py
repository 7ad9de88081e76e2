"""Rhythm of film in interlaced video, measured by the combing of fields with their neighbours.

Film of 25 frames a second has two fields a frame on a PAL tape (2:2); these may belong to two frames of the video. Film
of 24 frames a second has three and two in turn on an NTSC tape (3:2 pulldown).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from tapemill.media.field_match import STILL_LEVELS, STILL_SHARE, combing

from .cadence import Pattern

# Whether two successive fields are of different film frames.
PATTERNS: Final[dict[Pattern, tuple[bool, ...]]] = {"2:2": (False, True), "3:2": (False, False, True, False, True)}
# Fields that are compared with a pattern at once: two periods of the longer one.
WINDOW: Final = 10
MAX_MISMATCHES: Final = 1
# Fields of different film frames comb more than their neighbours do, by at least this share of what fields three apart
# comb more than the least. Of video, successive fields comb evenly, by a third of that.
CROSSING: Final = 0.2
# Verdicts on a window, besides patterns.
STILL, VIDEO = "", "video"


class FieldCombing:
    """Combing of each field with its neighbours, of the strips of successive frames (`field_match`)."""

    def __init__(self, field_order: Literal["tff", "bff"]) -> None:
        self._first = 0 if field_order == "tff" else 1
        self._fields: list[np.ndarray] = []
        self._near: list[float] = []
        self._far: list[float] = []

    def add(self, strip: np.ndarray) -> None:
        """Add the strip of the next frame, shape = (lines, columns), uint8."""
        for parity in (self._first, 1 - self._first):
            self._fields.append(strip[parity::2].astype(np.int16))
            for distance, found in ((1, self._near), (3, self._far)):
                if len(self._fields) > distance:
                    pair = self._fields[-1], self._fields[-1 - distance]
                    found.append(combing(*(pair if parity == 0 else pair[::-1])))
            del self._fields[:-4]

    @property
    def near(self) -> np.ndarray:
        """Combing of field j woven with the next one, shape = (fields - 1,)."""
        return np.array(self._near)

    @property
    def far(self) -> np.ndarray:
        """Combing of field j woven with the third after it, shape = (fields - 3,)."""
        return np.array(self._far)


@dataclass(frozen=True)
class Rhythm:
    """Combing of fields, seen through windows of WINDOW fields. There must be more fields than a window has."""

    near: np.ndarray
    """As in `FieldCombing`."""
    far: np.ndarray

    @cached_property
    def least(self) -> np.ndarray:
        """Least combing of the window that starts at each field."""
        least: np.ndarray = np.min(_sliding(self.near), axis=1)
        return least

    @cached_property
    def apart(self) -> np.ndarray:
        """Combing of fields that are three apart, in the window that starts at each field; the median, for cuts."""
        windows = len(self.near) - WINDOW + 1
        whole = max(0, len(self.far) - WINDOW + 1)
        medians = np.median(_sliding(self.far), axis=1) if whole else np.empty(0)
        # The last windows have fewer such fields.
        return np.concatenate([medians, [np.median(self.far[start:]) for start in range(whole, windows)]])

    @property
    def margin(self) -> np.ndarray:
        """Difference that is noise, in the window that starts at each field."""
        return np.add(STILL_SHARE * self.least, STILL_LEVELS)

    @property
    def is_moving(self) -> np.ndarray:
        """Whether something moves in the window that starts at each field."""
        is_moving: np.ndarray = self.apart - self.least >= self.margin
        return is_moving

    @cached_property
    def peaks(self) -> np.ndarray:
        """Combing of each field with the next one, above that of both neighbours, shape = (fields - 1,)."""
        padded = np.pad(self.near, 1, constant_values=0)
        peaks: np.ndarray = self.near - np.maximum(padded[:-2], padded[2:])
        return peaks

    def verdicts(self) -> np.ndarray:
        """Return the pattern of the window that starts at each field, or VIDEO, or STILL."""
        crossing = _sliding(self.peaks) > CROSSING * (self.apart - self.least)[:, None]
        found = np.full(len(crossing), VIDEO, dtype="<U5")
        for pattern, cycle in reversed(PATTERNS.items()):
            repeated = np.array(cycle * (WINDOW // len(cycle) + 1))
            for phase in range(len(cycle)):
                mismatches = np.count_nonzero(crossing != repeated[phase : phase + WINDOW], axis=1)
                found[mismatches <= MAX_MISMATCHES] = pattern
        found[~self.is_moving] = STILL
        return found


def _sliding(values: np.ndarray) -> np.ndarray:
    """Return windows of values, shape = (windows, WINDOW)."""
    return np.lib.stride_tricks.sliding_window_view(values, WINDOW)

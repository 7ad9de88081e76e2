"""Placement of decoded audio blocks on a timeline of samples, by their time stamps.

The tape's track, the audio of cut scenes and the audio for recognition are all placed by this one rule.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

# Time stamps may be off by this much before samples move: jitter of recorders and capture programs, rounding of
# containers that count milliseconds. Every codec in use loses more than this with one packet. It is the largest
# possible offset of audio and video.
TOLERANCE_S = Fraction(1, 100)
# A jump is accepted if most of this many blocks agree on it: one wrong time stamp moves no audio.
LOOK_AHEAD_BLOCKS = 12


@dataclass(frozen=True)
class _Block:
    samples: np.ndarray
    length: int
    """Samples per channel."""
    stated: int | None
    """Position of its first sample by its time stamp; None without one: directly after the block before."""


class BlockPlacer:
    """Queue of decoded blocks that gives each its position, in samples of the track's own rate.

    A block follows the one before unless its time stamp credibly differs. The caller takes blocks while `is_full`, and
    at the end of the source while `is_pending`; `advance_to` names the end of each block that it keeps.
    """

    def __init__(self, sample_rate_hz: int, *, start: int = 0) -> None:
        """Begin a source. `start` is the position of a first block without a time stamp."""
        self.head: int | None = None
        """Position of the next block if it has no gap; None before the first one."""
        self._start = start
        self._tolerance = int(TOLERANCE_S * sample_rate_hz)
        self._pending: deque[_Block] = deque()

    @property
    def is_full(self) -> bool:
        """Whether enough blocks wait to judge the time stamp of the first one."""
        return len(self._pending) >= LOOK_AHEAD_BLOCKS

    @property
    def is_pending(self) -> bool:
        """Whether a block waits."""
        return bool(self._pending)

    def add(self, samples: np.ndarray, length: int, stated: int | None) -> None:
        """Add the next block of `length` samples per channel, with its position by its time stamp."""
        self._pending.append(_Block(samples, length, stated))

    def take(self) -> tuple[int, np.ndarray]:
        """Remove the first block; return its position and its samples."""
        position = self._position()
        return position, self._pending.popleft().samples

    def advance_to(self, head: int) -> None:
        """Set the position of the next block."""
        self.head = head

    def _position(self) -> int:
        stated = self._pending[0].stated
        if self.head is None:
            return self._start if stated is None else stated
        if stated is None or abs(stated - self.head) <= self._tolerance:
            return self.head
        return stated if self._is_credible(stated - self.head, self.head) else self.head

    def _is_credible(self, shift: int, head: int) -> bool:
        """Whether most of the pending blocks deviate in the direction of the shift."""
        expected = itertools.accumulate((block.length for block in self._pending), initial=head)
        deviations = [
            block.stated - position
            for block, position in zip(self._pending, expected, strict=False)
            if block.stated is not None
        ]
        agreeing = sum(other * (1 if shift > 0 else -1) > self._tolerance for other in deviations)
        return 2 * agreeing > len(deviations)

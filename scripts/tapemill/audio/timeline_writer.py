"""Blocks of decoded sound put where their time stamps say, by silence put in and samples left out, never by stretching.

What is done is counted. Positions are samples of the track's own rate, from time zero of the tape.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import numpy as np

# Time stamps may be off by this much before samples are added or left out. Every codec in use loses more than this with
# one packet, and containers and capture programs jitter by less.
TOLERANCE_S = Fraction(1, 100)
# A new place in time is believed when most of this many blocks agree on it: one wrong time stamp moves no sound.
LOOK_AHEAD_BLOCKS = 12
SILENCE_SAMPLES = 65_536


@dataclass
class TimelineStats:
    """What was done to a track, in samples."""

    samples: int = 0
    """Length of the track."""
    padded: int = 0
    """Silence before sound that starts late, and after a scene file's sound that ends early."""
    trimmed: int = 0
    """Left out: before the first picture, past the end of a scene file, or far behind the last picture."""
    filled: int = 0
    """Silence in the place of sound that the time stamps say is missing."""
    overlapping: int = 0
    """Left out because the time stamps say that its time was taken already."""
    unreadable_packets: int = 0


@dataclass(frozen=True)
class _Block:
    samples: np.ndarray
    """shape = (samples, channels)"""
    position: int | None
    """Where its time stamp puts its first sample; None without a time stamp: right behind the one before."""


class TimelineWriter:
    """Writes the blocks of one track, one take (a capture, or one scene file) after the other, to a raw file."""

    def __init__(self, out: IO[bytes], *, dtype: str, channels: int, sample_rate_hz: int) -> None:
        self.counts = TimelineStats()
        self._out = out
        self._silence = np.zeros((SILENCE_SAMPLES, channels), dtype=dtype)
        self._tolerance = int(TOLERANCE_S * sample_rate_hz)
        self._pending: deque[_Block] = deque()
        self._picture_end = 0
        self._ceiling: int | None = None
        self._floor = 0
        self._head: int | None = None
        """Where the next sample of the take belongs; before the take's start for sound that starts early."""

    def begin(self, *, picture_end: int, fill: bool) -> None:
        """Begin a take where the last one ended. With `fill` it takes exactly the time up to `picture_end`."""
        self._picture_end = picture_end
        self._ceiling = picture_end if fill else None
        self._floor = self.counts.samples
        self._head = None

    def add(self, samples: np.ndarray, position: int | None) -> None:
        """Take the next block. shape = (samples, channels)."""
        self._pending.append(_Block(samples, position))
        if len(self._pending) >= LOOK_AHEAD_BLOCKS:
            self._place()

    def end(self) -> None:
        """End the take. One that has to fill its time and does not is continued by silence."""
        while self._pending:
            self._place()
        if self._ceiling is not None:
            self.counts.padded += self._write_silence(self._ceiling - self.counts.samples)

    def silence_until(self, position: int) -> None:
        """Continue the track by silence; for a track of which nothing could be read."""
        self.counts.padded += self._write_silence(position - self.counts.samples)

    def _place(self) -> None:
        block = self._pending[0]
        head = self._settled_head(block)
        self._pending.popleft()
        length = len(block.samples)
        if head > self.counts.samples and head >= self._picture_end:
            # A wild time stamp must not make hours of silence, and nobody would see what is heard there.
            self.counts.trimmed += length
            return
        silence = self._write_silence(head - self.counts.samples)
        if self._head is None:
            self.counts.padded += silence
        else:
            self.counts.filled += silence
        early = min(length, max(0, self._floor - head))
        skipped = min(length, max(0, self.counts.samples - head))
        self.counts.trimmed += early
        self.counts.overlapping += skipped - early
        self._write(block.samples[skipped:])
        self._head = head + length

    def _settled_head(self, block: _Block) -> int:
        """Where a block begins: where the one before ended, unless its time stamp is clearly and credibly another."""
        if self._head is None:
            return self._floor if block.position is None else block.position
        if block.position is None or abs(block.position - self._head) <= self._tolerance:
            return self._head
        return block.position if self._believed(block.position - self._head, self._head) else self._head

    def _believed(self, shift: int, head: int) -> bool:
        """Whether most of the blocks at hand lie on the same side of where they would be without a shift."""
        expected = itertools.accumulate((len(block.samples) for block in self._pending), initial=head)
        off = [
            block.position - place
            for block, place in zip(self._pending, expected, strict=False)
            if block.position is not None
        ]
        agreeing = sum(other * (1 if shift > 0 else -1) > self._tolerance for other in off)
        return 2 * agreeing > len(off)

    def _write(self, samples: np.ndarray) -> None:
        room = len(samples) if self._ceiling is None else self._ceiling - self.counts.samples
        kept = samples[: max(room, 0)]
        self.counts.trimmed += len(samples) - len(kept)
        self._out.write(np.ascontiguousarray(kept).data)
        self.counts.samples += len(kept)

    def _write_silence(self, length: int) -> int:
        if self._ceiling is not None:
            length = min(length, self._ceiling - self.counts.samples)
        for start in range(0, length, SILENCE_SAMPLES):
            self._out.write(self._silence[: min(SILENCE_SAMPLES, length - start)].data)
        self.counts.samples += max(length, 0)
        return max(length, 0)

"""Writer of decoded audio blocks at their time stamps: silence is inserted and samples dropped, never stretched.

All changes are counted. Positions are samples of the track's own rate, from time zero of the tape.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import numpy as np

# Time stamps may be off by this much before samples are inserted or dropped. Every codec in use loses more than this
# with one packet, and containers and capture programs jitter by less.
TOLERANCE_S = Fraction(1, 100)
# A jump is accepted if most of this many blocks agree on it: one wrong time stamp moves no audio.
LOOK_AHEAD_BLOCKS = 12
SILENCE_SAMPLES = 65_536


@dataclass
class TimelineStats:
    """Changes to a track, in samples."""

    samples: int = 0
    """Length of the track."""
    padded: int = 0
    """Silence before audio that starts late, and after a scene file's audio that ends early."""
    trimmed: int = 0
    """Dropped: before the first frame, past the end of a scene file, or far behind the last frame."""
    filled: int = 0
    """Silence for audio that is missing by the time stamps."""
    overlapping: int = 0
    """Dropped because it overlaps earlier audio by the time stamps."""
    unreadable_packets: int = 0


@dataclass(frozen=True)
class _Block:
    samples: np.ndarray
    """shape = (samples, channels)"""
    position: int | None
    """Position of its first sample by its time stamp; None without one: directly after the block before."""


class TimelineWriter:
    """Writer of one track to a raw file, one source file (a capture, or one scene file) after the other."""

    def __init__(self, out: IO[bytes], *, dtype: str, channels: int, sample_rate_hz: int) -> None:
        self.counts = TimelineStats()
        self._out = out
        self._silence = np.zeros((SILENCE_SAMPLES, channels), dtype=dtype)
        self._tolerance = int(TOLERANCE_S * sample_rate_hz)
        self._pending: deque[_Block] = deque()
        self._video_end = 0
        self._limit: int | None = None
        self._start = 0
        self._head: int | None = None
        """Position of the next sample of the source; before its start for audio that starts early."""

    def start_source(self, *, video_end: int, fill: bool) -> None:
        """Start a source where the last one ended. With `fill` it gets exactly the samples up to `video_end`."""
        self._video_end = video_end
        self._limit = video_end if fill else None
        self._start = self.counts.samples
        self._head = None

    def add(self, samples: np.ndarray, position: int | None) -> None:
        """Add the next block. shape = (samples, channels)."""
        self._pending.append(_Block(samples, position))
        if len(self._pending) >= LOOK_AHEAD_BLOCKS:
            self._write_next()

    def end_source(self) -> None:
        """End the source; with `fill` it is padded with silence to `video_end`."""
        while self._pending:
            self._write_next()
        if self._limit is not None:
            self.counts.padded += self._write_silence(self._limit - self.counts.samples)

    def silence_until(self, position: int) -> None:
        """Pad the track with silence up to a position; for a track that could not be read."""
        self.counts.padded += self._write_silence(position - self.counts.samples)

    def _write_next(self) -> None:
        block = self._pending[0]
        head = self._position_of(block)
        self._pending.popleft()
        length = len(block.samples)
        if head > self.counts.samples and head >= self._video_end:
            # A wild time stamp must not insert hours of silence, and there is no video at that time.
            self.counts.trimmed += length
            return
        silence = self._write_silence(head - self.counts.samples)
        if self._head is None:
            self.counts.padded += silence
        else:
            self.counts.filled += silence
        early = min(length, max(0, self._start - head))
        skipped = min(length, max(0, self.counts.samples - head))
        self.counts.trimmed += early
        self.counts.overlapping += skipped - early
        self._write(block.samples[skipped:])
        self._head = head + length

    def _position_of(self, block: _Block) -> int:
        """Return the position of a block: the end of the one before, unless its time stamp credibly differs."""
        if self._head is None:
            return self._start if block.position is None else block.position
        if block.position is None or abs(block.position - self._head) <= self._tolerance:
            return self._head
        return block.position if self._is_credible(block.position - self._head, self._head) else self._head

    def _is_credible(self, shift: int, head: int) -> bool:
        """Whether most of the pending blocks deviate in the direction of the shift."""
        expected = itertools.accumulate((len(block.samples) for block in self._pending), initial=head)
        deviations = [
            block.position - position
            for block, position in zip(self._pending, expected, strict=False)
            if block.position is not None
        ]
        agreeing = sum(other * (1 if shift > 0 else -1) > self._tolerance for other in deviations)
        return 2 * agreeing > len(deviations)

    def _write(self, samples: np.ndarray) -> None:
        available = len(samples) if self._limit is None else self._limit - self.counts.samples
        written = samples[: max(available, 0)]
        self.counts.trimmed += len(samples) - len(written)
        self._out.write(np.ascontiguousarray(written).data)
        self.counts.samples += len(written)

    def _write_silence(self, length: int) -> int:
        if self._limit is not None:
            length = min(length, self._limit - self.counts.samples)
        for start in range(0, length, SILENCE_SAMPLES):
            self._out.write(self._silence[: min(SILENCE_SAMPLES, length - start)].data)
        self.counts.samples += max(length, 0)
        return max(length, 0)

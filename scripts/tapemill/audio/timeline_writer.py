"""Writer of decoded audio blocks at their time stamps: silence is inserted and samples dropped, never stretched.

All changes are counted. Positions are samples of the track's own rate, from time zero of the tape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import numpy as np

from tapemill.media.audio_placement import BlockPlacer

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


class TimelineWriter:
    """Writer of one track to a raw file, one source file (a capture, or one scene file) after the other."""

    def __init__(self, out: IO[bytes], *, dtype: str, channels: int, sample_rate_hz: int) -> None:
        self.counts = TimelineStats()
        self._out = out
        self._silence = np.zeros((SILENCE_SAMPLES, channels), dtype=dtype)
        self._sample_rate_hz = sample_rate_hz
        self._placer = BlockPlacer(sample_rate_hz)
        self._video_end = 0
        self._limit: int | None = None
        self._start = 0

    def start_source(self, *, video_end: int, fill: bool) -> None:
        """Start a source where the last one ended. With `fill` it gets exactly the samples up to `video_end`."""
        self._video_end = video_end
        self._limit = video_end if fill else None
        self._start = self.counts.samples
        self._placer = BlockPlacer(self._sample_rate_hz, start=self._start)

    def add(self, samples: np.ndarray, position: int | None) -> None:
        """Add the next block. shape = (samples, channels)."""
        self._placer.add(samples, len(samples), position)
        if self._placer.is_full:
            self._write_next()

    def end_source(self) -> None:
        """End the source; with `fill` it is padded with silence to `video_end`."""
        while self._placer.is_pending:
            self._write_next()
        if self._limit is not None:
            self.counts.padded += self._write_silence(self._limit - self.counts.samples)

    def silence_until(self, position: int) -> None:
        """Pad the track with silence up to a position; for a track that could not be read."""
        self.counts.padded += self._write_silence(position - self.counts.samples)

    def _write_next(self) -> None:
        is_first = self._placer.head is None
        head, samples = self._placer.take()
        length = len(samples)
        if head > self.counts.samples and head >= self._video_end:
            # A wild time stamp must not insert hours of silence, and there is no video at that time.
            self.counts.trimmed += length
            return
        silence = self._write_silence(head - self.counts.samples)
        if is_first:
            self.counts.padded += silence
        else:
            self.counts.filled += silence
        early = min(length, max(0, self._start - head))
        skipped = min(length, max(0, self.counts.samples - head))
        self.counts.trimmed += early
        self.counts.overlapping += skipped - early
        self._write(samples[skipped:])
        self._placer.advance_to(head + length)

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

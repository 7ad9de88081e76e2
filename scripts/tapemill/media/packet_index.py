"""Packets of a file in order: time stamps of its frames, and where they jump back."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True)
class JumpBack:
    """Backward jump of the time stamps."""

    from_s: Fraction
    to_s: Fraction
    """Both on the file's clock."""
    position: int | None
    """Byte position of the first packet of any stream behind it that is known."""


@dataclass(frozen=True)
class PacketIndex:
    """Result of reading all packets of a file."""

    times: np.ndarray
    """Presentation time of each frame, sorted, in the stream's time base. shape = (packets,), int64.

    Packets that are never shown (edit lists) are left out.
    """
    key_times: np.ndarray
    """The same of key frames."""
    last_duration: int
    """Duration of the frame shown last, in the stream's time base."""
    time_base: Fraction
    stated_s: Fraction | None
    """Duration that the header states, None if it does not."""
    readable_s: Fraction
    """Duration of the packets that were read."""
    ends_s: Mapping[int, Fraction]
    """End of the last packet of each stream, by its index, on the file's clock."""
    jumps_back: tuple[JumpBack, ...]
    error: str | None
    """Error that ended the reading before the end of the file."""
    has_stamps: bool = True
    """Whether the packets have time stamps; else `times` are counted from 0."""
    decoder_delay: int = 0
    """How much later than `times` a decoder shows the frames, where a container knows no presentation times."""
    null_frames: int = 0
    """Frames behind the last one that repeat it and have no packets, each as long as a tick of the time base."""

    @property
    def longest_lead(self) -> tuple[Fraction, Fraction]:
        """The longest time without a key frame, and its start on the file's clock, in seconds."""
        edges = [*self.key_times.tolist(), int(self.times[-1]) + self.last_duration]
        if not len(self.key_times):
            edges = [int(self.times[0]), *edges]
        length, start = max((stop - start, -start) for start, stop in itertools.pairwise(edges))
        return length * self.time_base, -start * self.time_base

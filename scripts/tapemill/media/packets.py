"""All packets of a capture, read once: when its pictures are shown, and what is odd about them. Nothing is decoded."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from av import Packet, VideoStream
from av.container import InputContainer

from tapemill.core.errors import InputError

from .probe import open_media

# Decoding order goes back by no more than jitter; a recorder that starts anew, or joined files, go back by more.
JUMP_BACK_S = 1
ENCRYPTION_PACKETS = 50
# Of these containers the header says how long they are; others are only estimated by libavformat.
STATED_IN_CONTAINER = ("matroska", "asf", "flv")


@dataclass(frozen=True)
class PacketIndex:
    """What reading all packets of a file showed."""

    times: np.ndarray
    """When each picture is shown, sorted, in the stream's units. shape = (packets,), int64."""
    key_times: np.ndarray
    """The same of pictures at which decoding can begin."""
    last_duration: int
    """Of the picture shown last, in the stream's units."""
    time_base: Fraction
    stated_s: Fraction | None
    """Length that the header states, None if it does not."""
    readable_s: Fraction
    """Length that was found, to be compared with it."""
    jumps_back: tuple[tuple[Fraction, Fraction], ...]
    """Where the clock goes back: from and to, in seconds of the file's clock."""
    error: str | None
    """What ended the reading before the end of the file."""

    @property
    def longest_lead(self) -> tuple[Fraction, Fraction]:
        """The longest time without a key frame, in seconds, and where it begins, on the file's clock."""
        edges = [*self.key_times.tolist(), int(self.times[-1]) + self.last_duration]
        if not len(self.key_times):
            edges = [int(self.times[0]), *edges]
        length, start = max((stop - start, -start) for start, stop in itertools.pairwise(edges))
        return length * self.time_base, -start * self.time_base


def scan_packets(path: Path, stream_index: int, reached: Callable[[int, int], None] | None = None) -> PacketIndex:
    """Read a file from end to end. `stream_index` is its picture. Raises InputError if that has no packets.

    `reached` is told how many packets of the picture are read, and where in the file the last one begins, if that is
    known.
    """
    with open_media(path) as container:
        picture = next(stream for stream in container.streams.video if stream.index == stream_index)
        seen = _PacketCollector(picture)
        packets = container.demux()
        error = None
        try:
            for packet in packets:
                seen.add(packet)
                if reached and packet.pos and packet.stream_index == stream_index:
                    reached(len(seen.times), packet.pos)
        except av.error.FFmpegError as failure:
            error = str(failure.strerror)
        stated_s, of_all = _stated_duration_s(container, picture)
    if not seen.times:
        raise InputError("this file has no frames", file=path, remedy="the recording is empty; capture it again")
    times = np.sort(np.array(seen.times, dtype=np.int64))
    return PacketIndex(
        times=times,
        key_times=np.sort(np.array(seen.keys, dtype=np.int64)),
        last_duration=seen.last[1],
        time_base=seen.base,
        stated_s=stated_s,
        readable_s=seen.end_s if of_all else (sum(seen.last) - int(times[0])) * seen.base,
        jumps_back=tuple(seen.jumps),
        error=error,
    )


class _PacketCollector:
    """Takes packets in file order."""

    def __init__(self, picture: VideoStream) -> None:
        self.base = Fraction(picture.time_base or Fraction(1, 1000))
        self.times: list[int] = []
        self.keys: list[int] = []
        self.jumps: list[tuple[Fraction, Fraction]] = []
        self.last = (-(2**63), 0)
        """Time stamp and duration of the picture shown last."""
        self._ends: dict[int, tuple[int, Fraction]] = {}
        """Of each stream where its last packet ends, and the unit."""
        self._index = picture.index
        # Whole numbers: a tape has half a million packets.
        self._far_back = int(JUMP_BACK_S / self.base)
        self._before: int | None = None

    @property
    def end_s(self) -> Fraction:
        """Where the last picture or sound ends, on the file's clock."""
        return max((end * unit for end, unit in self._ends.values()), default=Fraction(0))

    def add(self, packet: Packet[Any]) -> None:
        """Take the next packet of any stream."""
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.size == 0 or time is None:
            return
        duration, index = packet.duration or 0, packet.stream_index
        ended = self._ends.get(index)
        if ended is None:
            self._ends[index] = time + duration, Fraction(packet.time_base)
        elif time + duration > ended[0]:
            self._ends[index] = time + duration, ended[1]
        if index != self._index or packet.is_discard:
            return
        self.times.append(time)
        self.last = max(self.last, (time, duration))
        if packet.is_keyframe:
            self.keys.append(time)
        order = packet.dts if packet.dts is not None else time
        if self._before is not None and self._before - order > self._far_back:
            self.jumps.append((self._before * self.base, order * self.base))
        self._before = order


def is_encrypted(path: Path, stream_index: int) -> bool:
    """Whether packets of a stream are marked as encrypted (Common Encryption, ISO/IEC 23001-7)."""
    with open_media(path) as container:
        try:
            packets = itertools.islice(container.demux(container.streams[stream_index]), ENCRYPTION_PACKETS)
            return any(packet.has_sidedata("encryption_info") for packet in packets)
        except av.error.FFmpegError:
            return False


def _stated_duration_s(container: InputContainer, picture: VideoStream) -> tuple[Fraction | None, bool]:
    """Length that the header states, and whether it is that of the whole file rather than of its picture."""
    name = container.format.name
    if name == "avi" and picture.frames and picture.average_rate:
        return picture.frames / Fraction(picture.average_rate), False
    if name.startswith("mov") and picture.duration and picture.time_base:
        return picture.duration * Fraction(picture.time_base), False
    if name.startswith(STATED_IN_CONTAINER) and container.duration:
        return Fraction(container.duration, 1_000_000), True
    return None, False

"""Packet scan of a file: time stamps of its frames and their irregularities. Nothing is decoded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from av import Packet, VideoStream
from av.container import InputContainer

from tapemill.core.errors import InputError

from .probe import open_media, probe, read_packets

# Decoding time stamps go back by no more than jitter; those of a restarted recorder or of joined files by more.
JUMP_BACK_S = 1
ENCRYPTION_PACKETS = 50
# Containers whose header states their duration; that of others is only estimated by libavformat.
STATED_IN_CONTAINER = ("matroska", "asf", "flv")


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
    jumps_back: tuple[tuple[Fraction, Fraction], ...]
    """Backward jumps of the time stamps: from and to, in seconds of the file's clock."""
    error: str | None
    """Error that ended the reading before the end of the file."""

    @property
    def longest_lead(self) -> tuple[Fraction, Fraction]:
        """The longest time without a key frame, and its start on the file's clock, in seconds."""
        edges = [*self.key_times.tolist(), int(self.times[-1]) + self.last_duration]
        if not len(self.key_times):
            edges = [int(self.times[0]), *edges]
        length, start = max((stop - start, -start) for start, stop in itertools.pairwise(edges))
        return length * self.time_base, -start * self.time_base


def scan_packets(path: Path, stream_index: int, reached: Callable[[int, int], None] | None = None) -> PacketIndex:
    """Read a file from end to end. `stream_index` is its video stream. Raises InputError if that has no packets.

    `reached` is called with the number of video packets read so far and the byte offset of the last one, if known.
    """
    with open_media(path) as container:
        video = next(stream for stream in container.streams.video if stream.index == stream_index)
        collected = _PacketCollector(video)
        packets = read_packets(container, list(container.streams))
        error = None
        try:
            for packet in packets:
                collected.add(packet)
                if reached and packet.pos and packet.stream_index == stream_index:
                    reached(len(collected.times), packet.pos)
        except av.error.FFmpegError as failure:
            error = str(failure.strerror)
        stated_s, of_all = _stated_duration_s(container, video)
    if not collected.times:
        raise InputError("this file has no frames", file=path, remedy="the recording is empty; capture it again")
    times = np.sort(np.array(collected.times, dtype=np.int64))
    return PacketIndex(
        times=times,
        key_times=np.sort(np.array(collected.keys, dtype=np.int64)),
        last_duration=collected.last[1],
        time_base=collected.base,
        stated_s=stated_s,
        readable_s=max(collected.ends_s.values()) if of_all else (sum(collected.last) - int(times[0])) * collected.base,
        ends_s=collected.ends_s,
        jumps_back=tuple(collected.jumps),
        error=error,
    )


class _PacketCollector:
    """Collector of packets in file order."""

    def __init__(self, video: VideoStream) -> None:
        self.base = Fraction(video.time_base or Fraction(1, 1000))
        self.times: list[int] = []
        self.keys: list[int] = []
        self.jumps: list[tuple[Fraction, Fraction]] = []
        self.last = (-(2**63), 0)
        """Time stamp and duration of the frame shown last."""
        self._ends: dict[int, tuple[int, Fraction]] = {}
        """End of the last packet of each stream, and its time base."""
        self._index = video.index
        # An integer for speed: a tape has half a million packets.
        self._far_back = int(JUMP_BACK_S / self.base)
        self._before: int | None = None

    @property
    def ends_s(self) -> dict[int, Fraction]:
        """End of the last packet of each stream, on the file's clock."""
        return {index: end * unit for index, (end, unit) in self._ends.items()}

    def add(self, packet: Packet[Any]) -> None:
        """Add the next packet of any stream."""
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


def frame_count(path: Path) -> int:
    """Return the number of frames in a clip, by its packets. Raises InputError if it is no video or has none."""
    return len(scan_packets(path, probe(path).picture.stream_index).times)


def is_encrypted(path: Path, stream_index: int) -> bool:
    """Whether packets of a stream are marked as encrypted (Common Encryption, ISO/IEC 23001-7)."""
    with open_media(path) as container:
        try:
            packets = itertools.islice(read_packets(container, [container.streams[stream_index]]), ENCRYPTION_PACKETS)
            return any(packet.has_sidedata("encryption_info") for packet in packets)
        except av.error.FFmpegError:
            return False


def _stated_duration_s(container: InputContainer, video: VideoStream) -> tuple[Fraction | None, bool]:
    """Return the duration that the header states, and whether it is that of the whole file rather than of its video."""
    name = container.format.name
    if name == "avi" and video.frames and video.average_rate:
        return video.frames / Fraction(video.average_rate), False
    if name.startswith("mov") and video.duration and video.time_base:
        return video.duration * Fraction(video.time_base), False
    if name.startswith(STATED_IN_CONTAINER) and container.duration:
        return Fraction(container.duration, 1_000_000), True
    return None, False

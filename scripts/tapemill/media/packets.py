"""Packet scan of a file: time stamps of its frames and their irregularities. Nothing is decoded."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from av import Packet, VideoFrame, VideoStream
from av.container import InputContainer

from tapemill.core.errors import InputError

from .container_integrity import mp4_boxes
from .containers.avi_chunks import count_null_frames
from .packet_index import JumpBack, PacketIndex
from .probe import open_media, probe, read_packets

# Decoding time stamps do not go back by as much as this, and not by more than a frame and a half; those of a restarted
# recorder or of joined files do.
JUMP_BACK_S = Fraction(1, 10)
# The streams of a recording begin within this many bytes.
INTERLEAVED_BYTES = 4_000_000
ENCRYPTION_PACKETS = 50
# Containers whose header states their duration; that of others is only estimated by libavformat.
STATED_IN_CONTAINER = ("matroska", "asf", "flv")


def scan_packets(path: Path, stream_index: int, reached: Callable[[int, int], None] | None = None) -> PacketIndex:
    """Read a file from end to end. `stream_index` is its video stream. Raises InputError if that has no packets.

    `reached` is called with the number of video packets read so far and the byte offset of the last one, if known.
    """
    with open_media(path) as container:
        video = next(stream for stream in container.streams.video if stream.index == stream_index)
        in_order = is_in_decoding_order(container, video)
        collected = _PacketCollector(video, in_decoding_order=in_order)
        packets = read_packets(container, list(container.streams))
        error = None
        try:
            for packet in packets:
                collected.add(packet)
                if reached and packet.pos and packet.stream_index == stream_index:
                    reached(len(collected.times), packet.pos)
        except av.error.FFmpegError as failure:
            error = str(failure.strerror)
        stated_s, of_all = _stated_duration_s(path, container, video)
        is_avi = container.format.name == "avi"
    has_stamps = bool(collected.times)
    if not has_stamps:
        collected.count_unstamped()
    if not collected.times:
        raise InputError("this file has no frames", file=path, remedy="the recording is empty; capture it again")
    times = np.sort(np.array(collected.times, dtype=np.int64))
    null_frames = count_null_frames(path, collected.last_position, stream_index) if is_avi and not error else 0
    end = sum(collected.last) + null_frames
    return PacketIndex(
        times=times,
        key_times=np.sort(np.array(collected.keys, dtype=np.int64)),
        last_duration=collected.last[1],
        time_base=collected.base,
        stated_s=stated_s,
        readable_s=max(collected.ends_s.values()) if of_all else (end - int(times[0])) * collected.base,
        ends_s=collected.ends_s,
        jumps_back=collected.located_jumps(),
        error=error,
        has_stamps=has_stamps,
        decoder_delay=_decoder_delay(path, stream_index) if in_order and not error else 0,
        null_frames=null_frames,
    )


def is_in_decoding_order(container: InputContainer, video: VideoStream) -> bool:
    """Whether only decoding times are true: an AVI holds no others, and with H.264 libavformat cannot know them."""
    return container.format.name == "avi" and video.codec_context.name in ("h264", "hevc")


def packet_time(packet: Packet[Any], *, in_decoding_order: bool) -> int | None:
    """Return the time stamp of a packet, in its time base: as `PacketIndex.times`."""
    return packet.dts if in_decoding_order or packet.pts is None else packet.pts


class _PacketCollector:
    """Collector of packets in file order."""

    def __init__(self, video: VideoStream, *, in_decoding_order: bool) -> None:
        self.base = Fraction(video.time_base or Fraction(1, 1000))
        self.times: list[int] = []
        self.keys: list[int] = []
        self.jumps: list[JumpBack] = []
        self._others_back: list[int] = []
        """Byte positions where time stamps of other streams go back."""
        self._orders: dict[int, int] = {}
        """Last decoding time of each other stream."""
        self.last = (-(2**63), 0)
        """Time stamp and duration of the frame shown last."""
        self.last_position = 0
        """Byte position of the last packet of the stream."""
        self._ends: dict[int, tuple[int, Fraction]] = {}
        """End of the last packet of each stream, and its time base."""
        self._index = video.index
        self._in_order = in_decoding_order
        self._unstamped: list[tuple[int, bool]] = []
        """Duration of each frame without a time stamp, and whether it is a key frame."""
        # An integer for speed: a tape has half a million packets.
        self._far_back = int(JUMP_BACK_S / self.base)
        self._before: int | None = None

    @property
    def ends_s(self) -> dict[int, Fraction]:
        """End of the last packet of each stream, on the file's clock."""
        return {index: end * unit for index, (end, unit) in self._ends.items()}

    def add(self, packet: Packet[Any]) -> None:
        """Add the next packet of any stream."""
        time = packet_time(packet, in_decoding_order=self._in_order and packet.stream_index == self._index)
        duration, index = packet.duration or 0, packet.stream_index
        if packet.size and time is None and index == self._index:
            self._unstamped.append((duration, packet.is_keyframe))
        if packet.size == 0 or time is None:
            return
        if self.jumps and self.jumps[-1].position is None and packet.pos:
            self.jumps[-1] = replace(self.jumps[-1], position=packet.pos)
        ended = self._ends.get(index)
        if ended is None:
            self._ends[index] = time + duration, Fraction(packet.time_base)
        elif time + duration > ended[0]:
            self._ends[index] = time + duration, ended[1]
        if index != self._index:
            before = self._orders.get(index, time)
            if before - time > max(float(JUMP_BACK_S / 2 / Fraction(packet.time_base)), duration) and packet.pos:
                self._others_back.append(packet.pos)
            self._orders[index] = time
        if index != self._index or packet.is_discard:
            return
        self.times.append(time)
        self.last = max(self.last, (time, duration))
        self.last_position = packet.pos or 0
        if packet.is_keyframe:
            self.keys.append(time)
        # Presentation times go back wherever frames are reordered.
        order = packet.dts
        if order is None:
            return
        if self._before is not None and self._before - order > max(self._far_back, 1.5 * duration):
            self.jumps.append(JumpBack(self._before * self.base, order * self.base, packet.pos))
        self._before = order

    def located_jumps(self) -> tuple[JumpBack, ...]:
        """Return the jumps, each at the first packet of any stream behind it."""
        return tuple(
            replace(jump, position=min([jump.position, *(
                other for other in self._others_back if abs(other - jump.position) < INTERLEAVED_BYTES
            )])) if jump.position is not None else jump
            for jump in self.jumps
        )  # fmt: skip

    def count_unstamped(self) -> None:
        """Give frames without time stamps the times that a decoder gives them: one after the other, from 0."""
        time = 0
        for duration, is_key in self._unstamped:
            self.times.append(time)
            if is_key:
                self.keys.append(time)
            self.last = (time, duration)
            time += duration
        self._ends[self._index] = time, self.base


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


def _decoder_delay(path: Path, stream_index: int) -> int:
    """Return how much later than the first packet the first frame is shown, in the stream's time base."""
    with open_media(path) as container:
        first: int | None = None
        for packet in read_packets(container, [container.streams[stream_index]]):
            first = packet.dts if first is None else first
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            if frames and first is not None:
                shown = frames[0].dts if isinstance(frames[0], VideoFrame) else None
                return 0 if shown is None else shown - first
    return 0


def _stated_duration_s(path: Path, container: InputContainer, video: VideoStream) -> tuple[Fraction | None, bool]:
    """Return the duration that the header states, and whether it is that of the whole file rather than of its video."""
    name = container.format.name
    if name == "avi" and video.frames and video.average_rate:
        return video.frames / Fraction(video.average_rate), False
    if name.startswith("mov") and video.duration and video.time_base:
        # Of a fragmented file it is the end on its clock, wherever that began.
        is_fragmented = any(kind == b"moof" for kind, _ in mp4_boxes(path))
        return video.duration * Fraction(video.time_base), is_fragmented
    if name.startswith(STATED_IN_CONTAINER) and container.duration:
        return Fraction(container.duration, 1_000_000), True
    return None, False

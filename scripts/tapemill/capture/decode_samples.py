"""Decode samples spread over a capture: whether frames can be decoded, their size, and PAFF detection."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np
from av import Packet, VideoFrame, VideoStream
from av.container import InputContainer

from tapemill.media.packet_index import PacketIndex
from tapemill.media.packets import is_in_decoding_order, packet_time
from tapemill.media.probe import open_media, read_packets

SAMPLES = 12
# Enough packets for the decoder's delay, even at two per frame; and, where packets may hold single fields, enough
# frames to recognise that.
MAX_PACKETS = 40
MAX_FRAMES = 8
SKIPPED_LAST_FRAMES = 4
SEEKS_BACK_S = (0, 2, 20)
# A second field comes half a frame after the first; anything else is a frame that could not be decoded.
HALF_FRAME = (0.35, 0.65)
MIN_FIELDS = 4


@dataclass(frozen=True)
class DecodeSample:
    """Result of decoding at one position."""

    time: int
    """Time stamp of the key frame where it started, in the stream's time base."""
    size: tuple[int, int] | None
    """Width and height of the first frame; None if nothing could be decoded."""
    field_steps: tuple[int, ...]
    """Time since the first field, in the stream's time base, of packets that hold the second field of a frame only."""


def sample_decode(path: Path, stream_index: int, packets: PacketIndex) -> list[DecodeSample]:
    """Decode samples of a file in order, at its first and last key frames and in between.

    Where the frame size differs between two samples, more are taken until the change is located to the key frame: the
    first sample of another size is then at the change.
    """
    # The last frames of a file may be incomplete.
    keys = packets.key_times[packets.key_times <= packets.times[-SKIPPED_LAST_FRAMES:][0]]
    if not len(keys):
        keys = packets.times[:1]
    with open_media(path) as container:
        stream = next(stream for stream in container.streams.video if stream.index == stream_index)
        if not packets.has_stamps:
            # Nothing but the beginning can be found.
            return [_decode(read_packets(container, [stream]), stream, int(keys[0]))]
        positions = sorted({round(position) for position in np.linspace(0, len(keys) - 1, SAMPLES)})
        samples = {position: _sample(container, stream, int(keys[position])) for position in positions}
        for _ in range(len(keys).bit_length() + 1):
            between = _next_to_sample(samples)
            if between is None:
                break
            samples[between] = _sample(container, stream, int(keys[between]))
    return [samples[position] for position in sorted(samples)]


def find_size_change(samples: Sequence[DecodeSample]) -> DecodeSample | None:
    """Return the first sample with another frame size than the first one; None if there is none."""
    decoded = [sample for sample in samples if sample.size is not None]
    return next((sample for sample in decoded if sample.size != decoded[0].size), None)


def detect_paff(times: np.ndarray, samples: Sequence[DecodeSample]) -> tuple[np.ndarray, int] | None:
    """Return the time stamps of frames where packets hold single fields (H.264 PAFF), and the duration of a frame.

    Only the first field of each frame is kept. None if packets hold whole frames. shape = (frames,), int64.
    """
    steps = [step for sample in samples for step in sample.field_steps]
    if len(steps) < MIN_FIELDS or max(steps) > 1.5 * min(steps):
        return None
    step = int(np.median(steps))
    kept = [int(times[0])]
    for time in times.tolist():
        if time - kept[-1] > 1.5 * step:
            kept.append(time)
    return np.array(kept, dtype=np.int64), 2 * step


def _next_to_sample(samples: dict[int, DecodeSample]) -> int | None:
    """Return the middle key frame between the last sample of the first size and the next one; None once adjacent."""
    sizes = [(position, sample.size) for position, sample in sorted(samples.items()) if sample.size is not None]
    other = next((index for index, (_, size) in enumerate(sizes) if size != sizes[0][1]), None)
    if other is None:
        return None
    start, stop = sizes[other - 1][0], sizes[other][0]
    inside = [position for position in range(start + 1, stop) if position not in samples]
    return inside[len(inside) // 2] if inside else None


def _sample(container: InputContainer, stream: VideoStream, time: int) -> DecodeSample:
    return _decode(_packets_from(container, stream, time), stream, time)


def _decode(packets: Iterator[Packet[VideoStream]], stream: VideoStream, time: int) -> DecodeSample:
    stamps: list[int] = []
    frames: list[VideoFrame] = []
    may_be_fields = stream.codec_context.name == "h264"
    max_frames = MAX_FRAMES if may_be_fields else 1
    with suppress(av.error.FFmpegError):
        for number, packet in enumerate(packets):
            if number == MAX_PACKETS or len(frames) >= max_frames:
                break
            try:
                frames += packet.decode()
            except av.error.FFmpegError:
                continue
            if packet.pts is not None:
                stamps.append(packet.pts)
    size = (frames[0].width, frames[0].height) if frames else None
    steps = _field_steps(stamps, frames) if may_be_fields else ()
    return DecodeSample(time, size, steps)


def _packets_from(container: InputContainer, stream: VideoStream, time: int) -> Iterator[Packet[VideoStream]]:
    """Yield packets from the key frame at `time` on. Transport streams seek too late: retry further back."""
    in_order = is_in_decoding_order(container, stream)
    for back_s in SEEKS_BACK_S:
        container.seek(time - int(back_s / Fraction(stream.time_base or 1)), stream=stream, backward=True)
        started = False
        for packet in read_packets(container, [stream]):
            position = packet_time(packet, in_decoding_order=in_order)
            if not started and position is not None and position > time:
                break
            started = started or position == time
            if started:
                yield packet
        if started:
            return


def _field_steps(stamps: Sequence[int], frames: Sequence[VideoFrame]) -> tuple[int, ...]:
    """Return distances of packets without an own frame from the interlaced frame before, if half a frame."""
    shown = sorted((frame.pts, frame.interlaced_frame) for frame in frames if frame.pts is not None)
    steps = []
    for (start, is_interlaced), (stop, _) in itertools.pairwise(shown):
        inside = [stamp for stamp in stamps if start < stamp < stop]
        if (
            is_interlaced
            and len(inside) == 1
            and HALF_FRAME[0] < Fraction(inside[0] - start, stop - start) < HALF_FRAME[1]
        ):
            steps.append(inside[0] - start)
    return tuple(steps)

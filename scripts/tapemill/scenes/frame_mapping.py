"""Mapping of frames of the grid to source frames: expected, displayed, and their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np

from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import SourceFileInfo
from tapemill.media.packets import is_in_decoding_order, packet_time, scan_packets
from tapemill.media.probe import open_media, read_packets

SEEKS_BACK_S = (Fraction(1), Fraction(15))
UNKNOWN = -(2**63)  # AV_NOPTS_VALUE


@dataclass(frozen=True)
class DisplayedFrames:
    """The source frames shown by a span, one for each frame. All arrays have shape (frames,), int64."""

    times: np.ndarray
    """The decoder's time stamps, in the stream's time base; UNKNOWN where the container has none (MPEG-PS, AVI)."""
    numbers: np.ndarray
    """Consecutive numbers of the source frames; only their differences are meaningful."""


def expected_frames(source: Path, take: SourceFileInfo, span: FrameRange) -> DisplayedFrames:
    """Return the frames that the grid requires. For an irregular capture the packets around the span are read."""
    frames = np.arange(span.start_frame, span.stop_frame)
    if not take.irregular:
        # Indices are compared: any time stamp that rounds to the index is right.
        return DisplayedFrames(frames, frames)
    for back_s in SEEKS_BACK_S:
        times = _times_near(source, take, span, back_s)
        if len(times) and _indices(times[:1], take)[0] <= span.start_frame:
            break
    else:
        packets = scan_packets(source, take.stream_index)
        times = packets.times + packets.decoder_delay
    # The last source frame whose index is not after the frame.
    positions = np.maximum(np.searchsorted(_indices(times, take), frames, side="right") - 1, 0)
    return DisplayedFrames(times[positions], positions)


def count_wrong(shown: DisplayedFrames, expected: DisplayedFrames, take: SourceFileInfo, *, from_start: bool) -> int:
    """Count frames that show another source frame than expected.

    A frame without a time stamp is right if it follows the one before it in the source as expected.
    """
    length = min(len(shown.times), len(expected.times))
    times, numbers = shown.times[:length], shown.numbers[:length]
    known = times != UNKNOWN
    stamps = times if take.irregular else _indices(np.where(known, times, take.start_pts), take)
    follows = np.diff(numbers) == np.diff(expected.numbers[:length])
    # The first one can only be compared at the start of the file; else it is right if the second is.
    first = numbers[:1] == expected.numbers[:1] if from_start else follows[:1]
    unknown_right = np.append(first, follows) if from_start or known.any() else np.zeros(length, dtype=bool)
    right = np.where(known, stamps == expected.times[:length], unknown_right[:length])
    return int(max(len(shown.times), len(expected.times)) - np.count_nonzero(right))


def begins_in_time(shown: DisplayedFrames, take: SourceFileInfo, span: FrameRange) -> bool:
    """Whether decoding began at or before the first frame of the span."""
    known = shown.times[:1][shown.times[:1] != UNKNOWN]
    return bool(len(known)) and int(_indices(known, take)[0]) <= span.start_frame


def frame_positions(shown: DisplayedFrames, take: SourceFileInfo, span: FrameRange) -> list[int | None]:
    """Return the frame of the span at which each shown source frame belongs; None where it has no time stamp."""
    indices = _indices(np.where(shown.times == UNKNOWN, take.start_pts, shown.times), take) - span.start_frame
    return [
        None if time == UNKNOWN else index for time, index in zip(shown.times.tolist(), indices.tolist(), strict=True)
    ]


def count_own_frames(shown: DisplayedFrames, take: SourceFileInfo, span: FrameRange) -> int:
    """Count the source frames of the span itself among those shown; others came from before or after it."""
    known = shown.times != UNKNOWN
    if not known.any():
        # Without time stamps they cannot be distinguished from frames around the span. A single one is a substitute.
        numbers = len(np.unique(shown.numbers))
        return numbers if numbers > 1 else 0
    indices = np.unique(_indices(shown.times[known], take))
    return int(np.count_nonzero((indices >= span.start_frame) & (indices < span.stop_frame)))


def parse_encoder_stats(lines: Sequence[str]) -> DisplayedFrames:
    """Parse lines of time stamp and number (ffmpeg's `-stats_enc_pre`)."""
    table = np.array([[int(word) for word in line.split()] for line in lines], dtype=np.int64).reshape(-1, 2)
    return DisplayedFrames(table[:, 0], table[:, 1])


def _indices(times: np.ndarray, take: SourceFileInfo) -> np.ndarray:
    return take.indices(times)


def _times_near(source: Path, take: SourceFileInfo, span: FrameRange, back_s: Fraction) -> np.ndarray:
    """Return the sorted time stamps around the span, complete from the keyframe on at which the seek lands."""
    start = take.pts_of(span.start_frame) - int(back_s / take.time_base)
    stop = take.pts_of(span.stop_frame) + int(1 / take.time_base)
    times: list[int] = []
    key: int | None = None
    with open_media(source) as container:
        stream = next(stream for stream in container.streams.video if stream.index == take.stream_index)
        in_order = is_in_decoding_order(container, stream)
        delay = take.start_pts - (stream.start_time or 0) if in_order else 0
        try:
            container.seek(start, stream=stream, backward=True)
            for packet in read_packets(container, [stream]):
                time = packet_time(packet, in_decoding_order=in_order)
                if packet.size == 0 or packet.is_discard or time is None:
                    continue
                if key is None and packet.is_keyframe:
                    key = time + delay
                if key is not None:
                    times.append(time + delay)
                # Nothing is shown before it is decoded: all following packets are shown after `stop`.
                if packet.dts is not None and packet.dts > stop:
                    break
        except av.error.FFmpegError:
            return np.zeros(0, dtype=np.int64)
    # Frames shown before the keyframe, but stored after it, are incomplete.
    return np.array(sorted(time for time in times if time >= key), dtype=np.int64) if key is not None else np.zeros(0)

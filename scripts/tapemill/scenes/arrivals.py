"""Which source picture each frame of the grid has to show, read from the packets around a scene."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np

from ..facts import TakeFacts
from ..media import opened, packet_times, ticks
from ..timing import Span

SEEKS_BACK_S = (Fraction(1), Fraction(15))


def shown_times(source: Path, take: TakeFacts, span: Span) -> np.ndarray | None:
    """Time stamps of the pictures that the span's frames show, in the stream's units; None for a regular capture.

    shape = (frames,), int64. In a regular capture the tick of a picture already says where it belongs.
    """
    if not take.irregular:
        return None
    for back_s in SEEKS_BACK_S:
        times = _times_near(source, take, span, back_s)
        if len(times) and _ticks(times[:1], take)[0] <= span.start_frame:
            break
    else:
        times, _ = packet_times(source, take.stream_index)
    # The last of the pictures whose tick is not after the frame's.
    places = np.searchsorted(_ticks(times, take), np.arange(span.start_frame, span.stop_frame), side="right") - 1
    return times[np.maximum(places, 0)]


def _ticks(times: np.ndarray, take: TakeFacts) -> np.ndarray:
    return ticks(times, take.start_pts, take.time_base, take.rate)


def _times_near(source: Path, take: TakeFacts, span: Span, back_s: Fraction) -> np.ndarray:
    """Sorted time stamps from the first keyframe on at which a seek lands; none missing among them."""
    start = int((span.start_s(take.rate) - back_s) / take.time_base) + take.start_pts
    stop = int((span.stop_s(take.rate) + 1) / take.time_base) + take.start_pts
    times: list[int] = []
    key: int | None = None
    with opened(source) as container:
        stream = container.streams[take.stream_index]
        try:
            container.seek(start, stream=stream, backward=True)
            for packet in container.demux(stream):
                time = packet.pts if packet.pts is not None else packet.dts
                if packet.size == 0 or packet.is_discard or time is None:
                    continue
                if key is None and packet.is_keyframe:
                    key = time
                if key is not None:
                    times.append(time)
                # Nothing is shown before it is decoded: all that follow are shown after `stop`.
                if packet.dts is not None and packet.dts > stop:
                    break
        except av.error.FFmpegError:
            return np.zeros(0, dtype=np.int64)
    # Pictures shown before the keyframe, but stored after it, are incomplete.
    return np.array(sorted(time for time in times if time >= key), dtype=np.int64) if key is not None else np.zeros(0)

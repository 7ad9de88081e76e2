"""A look at some pictures of a capture, spread over it: whether they can be decoded, how large they are, how stored."""

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

from tapemill.media.packets import PacketIndex
from tapemill.media.probe import open_media

LOOKS = 12
# Pictures come out in spite of the decoder's delay, even at two packets for each; and, where packets may hold single
# fields, so many that it shows.
MOST_PACKETS = 40
ENOUGH_FRAMES = 8
LAST_PICTURES = 4
SEEKS_BACK_S = (0, 2, 20)
# A second field comes half a frame after the first; anything far from that is a picture that could not be decoded.
HALF = (0.35, 0.65)
FEWEST_FIELDS = 4


@dataclass(frozen=True)
class DecodeSample:
    """What was seen at one place."""

    time: int
    """Time stamp of the key frame it was to begin at, in the stream's units."""
    size: tuple[int, int] | None
    """Width and height of the first picture; None if nothing could be decoded."""
    field_steps: tuple[int, ...]
    """Of packets that hold the second field of a picture only: time since the first field, in the stream's units."""


def sample_decode(path: Path, stream_index: int, packets: PacketIndex) -> list[DecodeSample]:
    """Look at some places of a file, the first and the last of its key frames among them, in order.

    Where the size of the picture differs between two places, more are looked at, until the change is found to the key
    frame: then the first Look of another size is where it is.
    """
    # Of the last pictures a file may hold a part only.
    keys = packets.key_times[packets.key_times <= packets.times[-LAST_PICTURES:][0]]
    if not len(keys):
        keys = packets.times[:1]
    with open_media(path) as container:
        stream = next(stream for stream in container.streams.video if stream.index == stream_index)
        places = sorted({round(place) for place in np.linspace(0, len(keys) - 1, LOOKS)})
        looks = {place: _look(container, stream, int(keys[place])) for place in places}
        for _ in range(len(keys).bit_length() + 1):
            between = _change(looks)
            if between is None:
                break
            looks[between] = _look(container, stream, int(keys[between]))
    return [looks[place] for place in sorted(looks)]


def find_size_change(looks: Sequence[DecodeSample]) -> DecodeSample | None:
    """The first look at a picture of another size than the first one."""
    seen = [look for look in looks if look.size is not None]
    return next((look for look in seen if look.size != seen[0].size), None)


def detect_paff(times: np.ndarray, looks: Sequence[DecodeSample]) -> tuple[np.ndarray, int] | None:
    """Time stamps of pictures where packets hold single fields (H.264's PAFF), and the duration of a picture.

    Only the first field of each picture stays. None if packets hold whole pictures. shape = (pictures,), int64.
    """
    steps = [step for look in looks for step in look.field_steps]
    if len(steps) < FEWEST_FIELDS or max(steps) > 1.5 * min(steps):
        return None
    step = int(np.median(steps))
    kept = [int(times[0])]
    for time in times.tolist():
        if time - kept[-1] > 1.5 * step:
            kept.append(time)
    return np.array(kept, dtype=np.int64), 2 * step


def _change(looks: dict[int, DecodeSample]) -> int | None:
    """The key frame in the middle between the last of the first size and the first of another; None once adjacent."""
    seen = [(place, look.size) for place, look in sorted(looks.items()) if look.size is not None]
    other = next((position for position, (_, size) in enumerate(seen) if size != seen[0][1]), None)
    if other is None:
        return None
    start, stop = seen[other - 1][0], seen[other][0]
    inside = [place for place in range(start + 1, stop) if place not in looks]
    return inside[len(inside) // 2] if inside else None


def _look(container: InputContainer, stream: VideoStream, time: int) -> DecodeSample:
    stamps: list[int] = []
    frames: list[VideoFrame] = []
    may_be_fields = stream.codec_context.name == "h264"
    enough = ENOUGH_FRAMES if may_be_fields else 1
    with suppress(av.error.FFmpegError):
        for number, packet in enumerate(_from(container, stream, time)):
            if number == MOST_PACKETS or len(frames) >= enough:
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


def _from(container: InputContainer, stream: VideoStream, time: int) -> Iterator[Packet[VideoStream]]:
    """Packets from the key frame at `time` on. Transport streams are entered behind the place that is sought."""
    for back_s in SEEKS_BACK_S:
        container.seek(time - int(back_s / Fraction(stream.time_base or 1)), stream=stream, backward=True)
        started = False
        for packet in container.demux(stream):
            place = packet.pts if packet.pts is not None else packet.dts
            if not started and place is not None and place > time:
                break
            started = started or place == time
            if started:
                yield packet
        if started:
            return


def _field_steps(stamps: Sequence[int], frames: Sequence[VideoFrame]) -> tuple[int, ...]:
    """Distances of packets without a picture of their own from the interlaced picture before, if half a frame."""
    shown = sorted((frame.pts, frame.interlaced_frame) for frame in frames if frame.pts is not None)
    steps = []
    for (start, is_interlaced), (stop, _) in itertools.pairwise(shown):
        inside = [stamp for stamp in stamps if start < stamp < stop]
        if is_interlaced and len(inside) == 1 and HALF[0] < Fraction(inside[0] - start, stop - start) < HALF[1]:
            steps.append(inside[0] - start)
    return tuple(steps)

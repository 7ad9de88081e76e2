"""Concatenation of clips by stream copy, with every frame's time from its frame number.

Containers round: Matroska stores whole milliseconds. Joining clips by their stored durations would add up the rounding
of 700 clips; here a clip's time stamps only give the number of the frame, and its time follows from that number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
from av import Packet, VideoStream
from av.container import InputContainer

from tapemill.core.errors import GateError
from tapemill.core.progress import Progress
from tapemill.media.probe import open_media

REMEDY = "delete the clip and run again"


@dataclass(frozen=True)
class StreamFormat:
    """Stream parameters that must be equal to plan clips without re-encoding."""

    codec: str
    width: int
    height: int
    pixel_format: str
    extradata: bytes


@dataclass(frozen=True)
class ConcatPlan:
    """Clips that were found compatible, in order."""

    clips: tuple[Path, ...]
    frames: tuple[int, ...]
    """Of each clip."""
    rate: Fraction
    delay_frames: int
    """Reordering delay of the decoder."""
    keyframes: int
    """Of all clips together."""

    @property
    def total_frames(self) -> int:
        """Frames of the tape."""
        return sum(self.frames)


def check_compatible(*, clips: Sequence[Path], frames: Sequence[int], rate: Fraction) -> ConcatPlan:
    """Read all clips and check that they can be joined: same format, `frames[i]` frames each, one per frame time.

    Raises GateError naming the clip that does not fit, InputError for one that cannot be read.
    """
    wanted: StreamFormat | None = None
    delay = keyframes = 0
    progress = Progress(sum(frames), "checking the clips")
    for clip, expected in zip(clips, frames, strict=True):
        with open_media(clip) as container:
            stream = _video_stream(container, clip)
            found = _format(stream)
            wanted = wanted or found
            if found != wanted:
                raise _mismatch(clip, clips[0], found, wanted)
            order = []
            for packet, frame in progress.counting(_numbered(container, stream, rate, clip)):
                order.append(frame)
                keyframes += packet.is_keyframe
        if sorted(order) != list(range(expected)):
            raise GateError(
                f"this clip shows {len(set(order))} frames in {len(order)} packets, not {expected}, one per frame time",
                file=clip,
                remedy=REMEDY,
            )
        delay = max(delay, *(position - frame for position, frame in enumerate(order)))
    return ConcatPlan(tuple(clips), tuple(frames), rate, delay, keyframes)


def concat_packets(plan: ConcatPlan) -> Iterator[Packet[VideoStream]]:
    """Yield all packets of all clips in decoding order, stamped with frame numbers of the tape, in units of 1/rate."""
    unit = 1 / plan.rate
    base = count = 0
    for clip, frames in zip(plan.clips, plan.frames, strict=True):
        with open_media(clip) as container:
            for packet, frame in _numbered(container, _video_stream(container, clip), plan.rate, clip):
                packet.time_base = unit
                packet.pts = base + frame
                packet.dts = count - plan.delay_frames
                packet.duration = 1
                yield packet
                count += 1
        base += frames


def _video_stream(container: InputContainer, clip: Path) -> VideoStream:
    if len(container.streams) != 1 or len(container.streams.video) != 1:
        raise GateError("a clip must contain exactly one video stream", file=clip, remedy=REMEDY)
    stream = container.streams.video[0]
    if stream.sample_aspect_ratio not in (None, 1):
        # Only the container stores this, and copied packets do not carry it into the tape for every codec.
        raise GateError(
            f"pixels of a clip have to be square, not {stream.sample_aspect_ratio}", file=clip, remedy=REMEDY
        )
    return stream


def _numbered(
    container: InputContainer, stream: VideoStream, rate: Fraction, clip: Path
) -> Iterator[tuple[Packet[VideoStream], int]]:
    """Yield packets in decoding order, each with the frame number within the clip nearest to its time stamp."""
    step = Fraction(stream.time_base or 1) * rate
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.pts is None:
                raise GateError("a frame of this clip has no time stamp", file=clip, remedy=REMEDY)
            # Nearest, in integers: a tape has hundreds of thousands of packets.
            yield packet, (2 * packet.pts * step.numerator + step.denominator) // (2 * step.denominator)
    except av.error.FFmpegError as error:
        raise GateError(
            f"this clip cannot be read to its end: {error.strerror}", file=clip, tool="PyAV", remedy=REMEDY
        ) from error


def _format(stream: VideoStream) -> StreamFormat:
    context = stream.codec_context
    return StreamFormat(
        codec=context.name,
        width=context.width,
        height=context.height,
        pixel_format=context.pix_fmt or "",
        extradata=bytes(context.extradata or b""),
    )


def _mismatch(clip: Path, first: Path, found: StreamFormat, wanted: StreamFormat) -> GateError:
    differing = [name for name in StreamFormat.__dataclass_fields__ if getattr(found, name) != getattr(wanted, name)]
    return GateError(
        f"this clip does not join {first.name}: its {', '.join(differing)} differ",
        file=clip,
        remedy="delete the clips of this tape that were made with other settings and run again",
    )

"""Clips joined by stream copy, with every picture's time from its frame number.

Containers round: Matroska knows whole milliseconds. Joining clips by their stored lengths would add up the rounding of
700 clips; here a clip's time stamps tell the number of the frame alone, and its time follows from that number.
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


@dataclass(frozen=True)
class StreamFormat:
    """What must be equal in clips that are joined without encoding them again."""

    codec: str
    width: int
    height: int
    pixel_format: str
    extradata: bytes


@dataclass(frozen=True)
class ConcatPlan:
    """Clips that were found to fit."""

    clips: tuple[Path, ...]
    frames: tuple[int, ...]
    rate: Fraction
    delay_frames: int
    """How many pictures a decoder has to hold back to show them in order."""
    keyframes: int

    @property
    def total_frames(self) -> int:
        """Pictures of the tape."""
        return sum(self.frames)


def check_compatible(*, clips: Sequence[Path], frames: Sequence[int], rate: Fraction) -> ConcatPlan:
    """Read all clips and make sure that they fit: same format, `frames[i]` pictures each, one a tick.

    Raises GateError naming the clip that does not, InputError for one that cannot be read.
    """
    wanted: StreamFormat | None = None
    delay = keyframes = 0
    progress = Progress(sum(frames), "looking at the clips")
    for clip, expected in zip(clips, frames, strict=True):
        with open_media(clip) as container:
            stream = _picture(container, clip)
            found = _format(stream)
            wanted = wanted or found
            if found != wanted:
                raise _misfit(clip, clips[0], found, wanted)
            order = []
            for packet, frame in progress.counting(_numbered(container, stream, rate, clip)):
                order.append(frame)
                keyframes += packet.is_keyframe
        if sorted(order) != list(range(expected)):
            raise GateError(
                f"this clip shows {len(set(order))} frames in {len(order)} packets, not {expected}, one a tick",
                file=clip,
                remedy="delete the clip and run again",
            )
        delay = max(delay, *(place - frame for place, frame in enumerate(order)))
    return ConcatPlan(tuple(clips), tuple(frames), rate, delay, keyframes)


def concat_packets(join: ConcatPlan) -> Iterator[Packet[VideoStream]]:
    """All packets of all clips in decoding order, with time stamps as frame numbers of the tape, in units of 1/rate."""
    unit = 1 / join.rate
    base = count = 0
    for clip, frames in zip(join.clips, join.frames, strict=True):
        with open_media(clip) as container:
            for packet, frame in _numbered(container, _picture(container, clip), join.rate, clip):
                packet.time_base = unit
                packet.pts = base + frame
                packet.dts = count - join.delay_frames
                packet.duration = 1
                yield packet
                count += 1
        base += frames


_AGAIN = "delete the clip and run again"


def _picture(container: InputContainer, clip: Path) -> VideoStream:
    if len(container.streams) != 1 or len(container.streams.video) != 1:
        raise GateError("a clip has to hold one picture stream and nothing else", file=clip, remedy=_AGAIN)
    stream = container.streams.video[0]
    if stream.sample_aspect_ratio not in (None, 1):
        # Nothing but the container could say so, and not every codec's packets make it do so again.
        raise GateError(
            f"pixels of a clip have to be square, not {stream.sample_aspect_ratio}", file=clip, remedy=_AGAIN
        )
    return stream


def _numbered(
    container: InputContainer, stream: VideoStream, rate: Fraction, clip: Path
) -> Iterator[tuple[Packet[VideoStream], int]]:
    """Packets in decoding order with the frame number, within the clip, that their time stamps round to."""
    step = Fraction(stream.time_base or 1) * rate
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.pts is None:
                raise GateError("a picture of this clip has no time", file=clip, remedy=_AGAIN)
            # Nearest, in integers: a tape has hundreds of thousands of packets.
            yield packet, (2 * packet.pts * step.numerator + step.denominator) // (2 * step.denominator)
    except av.error.FFmpegError as error:
        raise GateError(
            f"this clip cannot be read to its end: {error.strerror}", file=clip, tool="PyAV", remedy=_AGAIN
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


def _misfit(clip: Path, first: Path, found: StreamFormat, wanted: StreamFormat) -> GateError:
    differing = [name for name in StreamFormat.__dataclass_fields__ if getattr(found, name) != getattr(wanted, name)]
    return GateError(
        f"this clip does not join {first.name}: its {', '.join(differing)} differ",
        file=clip,
        remedy="delete the clips of this tape that were made with other settings and run again",
    )

"""Field order of a capture: measured in the movement of its frames, and weighed with what the file states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np

from tapemill.core.errors import ToolFailed
from tapemill.media import ffmpeg, field_match
from tapemill.media.capture_info import FieldOrder
from tapemill.media.field_match import STRIP_WIDTH, FieldMatcher, strip_filters
from tapemill.media.stream_info import VideoStreamInfo

# A tape with progressive parts is interlaced: of these, each scene is treated by its own order. A fifth of interlaced
# movement is far above the error rate. Where the file states that it is progressive, most of it has to be interlaced.
INTERLACED_SHARE, UNSTATED_SHARE = 0.2, 0.5
# Frames of a still that is repeated look like either order in turn; those of an interlaced spot nearly all like one.
REPEAT_COST = 0.4
# Fewer moving frames leave the decision to what the file states, which counts as much as so many of them.
FEWEST_MOVING = 6
STATED_FRAMES = 6
# Codecs whose decoders need to know whether a frame has fields. Others can be marked, and mostly are not.
CODECS_WITH_FIELDS = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "dvvideo", "av1"})

MAX_HEADER_BYTES = 1000


@dataclass(frozen=True)
class FieldCounts:
    """Numbers of frames of one spot by the order that their movement shows."""

    tff: int = 0
    bff: int = 0
    progressive: int = 0
    undetermined: int = 0
    shifted: int = 0
    """Of `tff` and `bff`: frames whose top field belongs to the bottom field of another frame, which is film."""

    @classmethod
    def of(cls, matches: str) -> FieldCounts:
        """Count the letters of `FieldMatcher.matches`."""
        count = matches.count
        previous, following = count(field_match.PREVIOUS), count(field_match.NEXT)
        return cls(
            tff=count(field_match.TOP_FIRST) + previous,
            bff=count(field_match.BOTTOM_FIRST) + following,
            progressive=count(field_match.SAME),
            undetermined=count(field_match.STILL),
            shifted=previous + following,
        )

    @property
    def frames(self) -> int:
        """All frames counted."""
        return self.moving + self.undetermined

    @property
    def moving(self) -> int:
        """Frames that show an order."""
        return self.tff + self.bff + self.progressive

    @property
    def repeats(self) -> int:
        """Frames that look interlaced, or are progressive and repeated."""
        return self.tff + self.bff - self.shifted

    @property
    def order(self) -> FieldOrder:
        """The order that the fewest frames contradict."""
        cost: dict[FieldOrder, float] = {
            "progressive": REPEAT_COST * self.repeats + self.shifted,
            "tff": self.bff + self.progressive,
            "bff": self.tff + self.progressive,
        }
        return min(cost, key=lambda order: cost[order])

    @property
    def agreeing(self) -> int:
        """Moving frames that fit `order`."""
        order = self.order
        return self.progressive + self.repeats if order == "progressive" else self.tff if order == "tff" else self.bff


@dataclass(frozen=True)
class FieldOrderDecision:
    """Field order of a tape, and what it was decided by."""

    spots: Sequence[FieldCounts]
    stated: FieldOrder | None
    """What the file states reliably; None for nothing."""
    order: FieldOrder
    confidence: float
    """Expected share of moving frames that fit the order (rule of succession, with three orders): 1/3 for a file
    without movement that states nothing. Progressive parts do not lower the confidence of an interlaced tape."""

    @property
    def notes(self) -> dict[str, Any]:
        """Entries of `capture.json`."""
        moving = sum(spot.moving for spot in self.spots)
        by_flags = self.stated and moving < FEWEST_MOVING
        return {
            "found_by": "flags" if by_flags else "movement" if moving else "nothing",
            "confidence": round(self.confidence, 3),
            "stated": self.stated,
            "frames": {
                "tff": sum(spot.tff for spot in self.spots),
                "bff": sum(spot.bff for spot in self.spots),
                "progressive": sum(spot.progressive for spot in self.spots),
                "all": sum(spot.frames for spot in self.spots),
            },
        }


def decide(spots: Sequence[FieldCounts], stated: FieldOrder | None) -> FieldOrderDecision:
    """Decide the field order of a tape by spots of it, and by what the file states."""
    by_order: dict[FieldOrder, list[FieldCounts]] = {"progressive": [], "tff": [], "bff": []}
    for spot in spots:
        by_order[spot.order].append(spot)
    agreeing = {order: sum(spot.agreeing for spot in found) for order, found in by_order.items()}
    moving = sum(spot.moving for spot in spots)
    share = UNSTATED_SHARE if stated == "progressive" else INTERLACED_SHARE
    if stated and moving < FEWEST_MOVING:
        order = stated
    elif agreeing["tff"] + agreeing["bff"] > share * moving:
        order = "tff" if agreeing["tff"] >= agreeing["bff"] else "bff"
    else:
        order = "progressive"
    if order != "progressive":
        moving = sum(spot.moving for spot in [*by_order["tff"], *by_order["bff"]])
    weight = STATED_FRAMES if stated else 0
    confidence = (agreeing[order] + 1 + weight * (stated == order)) / (moving + len(by_order) + weight)
    return FieldOrderDecision(tuple(spots), stated, order, confidence)


def stated_field_order(picture: VideoStreamInfo) -> FieldOrder | None:
    """Return the field order that a file states; None if it states none, or progressive without having to know."""
    stated = picture.stated_field_order
    return None if stated == "progressive" and picture.codec not in CODECS_WITH_FIELDS else stated


def count_fields(
    path: Path,
    picture: VideoStreamInfo,
    stream_index: int,
    starts_s: Sequence[Fraction],
    frames_per_spot: int,
    *,
    timeout_s: float,
    decoding: Sequence[str] = ffmpeg.PICTURE_LIMIT,
) -> list[FieldCounts]:
    """Count the field orders of `frames_per_spot` frames from each position `starts_s` of a file.

    `picture` has the size of its frames. `timeout_s` is for each position, `decoding` are options of ffmpeg's input.
    Raises like `ffmpeg.run`, and ToolFailed if ffmpeg returns anything else.
    """
    filters = ",".join(strip_filters(picture.height))
    counts = []
    for start_s in starts_s:
        # As a player shows them: turned by 180°, fields change their places.
        arguments = [
            *ffmpeg.input_args(path, options=[*decoding, "-ss", f"{float(start_s):.3f}"]),
            *("-map", f"0:{stream_index}", "-frames:v", str(frames_per_spot), "-fps_mode", "passthrough"),
            *("-vf", filters, "-f", "yuv4mpegpipe", "pipe:1"),
        ]
        matcher = FieldMatcher()
        with ffmpeg.pipe_out(arguments, concerns=path, timeout_s=timeout_s) as stream:
            for strip in _read_strips(stream, path, picture.height):
                matcher.add(strip)
        counts.append(FieldCounts.of(matcher.matches()))
    return counts


def _read_strips(stream: IO[bytes], path: Path, lines: int) -> Iterator[np.ndarray]:
    """Yield the frames of a YUV4MPEG2 stream. Its header comes even where no frame can be decoded."""
    header = stream.readline(MAX_HEADER_BYTES)
    if not header.startswith(b"YUV4MPEG2 W%d H%d " % (STRIP_WIDTH, lines)):
        raise ToolFailed(
            "ffmpeg did not return the fields that it was to inspect",
            file=path,
            tool=ffmpeg.binary(),
            remedy="check the setting `ffmpeg`: that program does not do what ffmpeg does",
        )
    size = STRIP_WIDTH * lines
    while stream.readline(MAX_HEADER_BYTES).startswith(b"FRAME") and len(strip := stream.read(size)) == size:
        yield np.frombuffer(strip, np.uint8).reshape(lines, STRIP_WIDTH)

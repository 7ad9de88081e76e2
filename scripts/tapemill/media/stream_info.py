"""Streams of a media file, as its probe describes them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from .capture_info import FieldOrder
from .colour import Colour


@dataclass(frozen=True)
class VideoStreamInfo:
    """The video stream that will be restored."""

    stream_index: int
    codec: str
    width: int
    """Coded width in samples, before rotation."""
    height: int
    pixel_format: str
    bit_depth: int
    sample_aspect_ratio: Fraction | None
    """None where the file does not state it."""
    rotation_deg: int
    """Clockwise turn that a player applies: 0, 90, 180 or 270."""
    stated_rates: tuple[Fraction, ...]
    """Rates that the container states, most credible first; `guess_frame_rate` picks the one that its packets keep."""
    time_base: Fraction
    colour: Colour
    stated_field_order: FieldOrder | None
    """What the codec or container states, right or wrong; None if it states nothing."""

    @property
    def is_turned(self) -> bool:
        """Whether the upright frame has the lines as columns."""
        return self.rotation_deg in (90, 270)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright frame, in samples."""
        return (self.height, self.width) if self.is_turned else (self.width, self.height)


@dataclass(frozen=True)
class AudioStreamInfo:
    """One audio track."""

    stream_index: int
    codec: str
    sample_rate_hz: int
    channels: int
    start_s: Fraction
    """First time stamp, on the same clock as the video's."""
    language: str
    title: str


@dataclass(frozen=True)
class MediaInfo:
    """Everything known about a file without decoding it."""

    container: str
    picture: VideoStreamInfo
    sounds: tuple[AudioStreamInfo, ...]

"""Properties of a capture that later stages need: the content of `capture.json`.

Jobs get them as params, as plain values, so that a changed property is a visible reason to run a job again and a file
time is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self

from tapemill.core.errors import InputError
from tapemill.storage.typed_json import JsonRecord, optional, read_record

from .clock.cfr import CfrGrid
from .colour import Colour
from .containers.file_parts import BytePart, FilePart
from .ffmpeg import PICTURE_LIMIT, WHOLE_FRAME

REBUILD_REMEDY = "delete it, and the workflow makes it again"

MAX_STRETCH = Fraction(1, 50)
"""Largest share by which audio is stretched: clocks are off by less, and what differs more has other reasons."""

FieldOrder = Literal["tff", "bff", "progressive"]


@dataclass(frozen=True)
class Crop:
    """Part of a frame that remains, in samples and lines."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class VideoInfo(JsonRecord):
    """Video of a cut scene: rotated upright, without lines of VBI, at a constant rate, not yet deinterlaced."""

    width: int
    height: int
    pixel_format: str
    bit_depth: int
    sample_aspect_ratio: Fraction
    rate: Fraction
    field_order: FieldOrder
    colour: Colour
    cut_out: Crop | None = optional()
    """Part of the capture's upright frame that a cut has; null for the whole frame."""


@dataclass(frozen=True)
class AudioTrackInfo(JsonRecord):
    """One audio track of the capture."""

    stream_index: int
    codec: str
    sample_rate_hz: int
    channels: int
    language: str
    title: str
    end_s: Fraction | None = optional()
    """End of its last packet, in seconds from the first frame. None in a folder, and in records of version 0.2."""

    def per_picture_second(self, picture_s: Fraction) -> Fraction | None:
        """Return the seconds of audio for each second of a picture that it was recorded with, by their lengths.

        None if that is unknown, or differs by more than MAX_STRETCH.
        """
        if self.end_s is None or picture_s <= 0 or abs(self.end_s / picture_s - 1) > MAX_STRETCH:
            return None
        return self.end_s / picture_s


@dataclass(frozen=True)
class SourceFileInfo(CfrGrid, JsonRecord):
    """One media file of the capture and its timeline: the whole capture, or one file of a folder of ready scenes."""

    file: str
    """File name for display: bytes that are not UTF-8 are escaped."""
    stream_index: int
    """The video stream."""
    part: BytePart | None = optional(None)
    """The part of the file that is one of several recordings joined in it; None for the whole file."""
    container_crop: Crop | None = optional()
    """Part of the decoded frame that the container has players show; it is not applied. Null if there is none."""

    @property
    def decoding(self) -> tuple[str, ...]:
        """Options of ffmpeg's input for decoding whole frames of this file, within the limit of their size."""
        return (*PICTURE_LIMIT, *(WHOLE_FRAME if self.container_crop else ()))

    def located(self, source: Path) -> Path:
        """Return the path by which this take is read, of the path of its file."""
        return source if self.part is None else FilePart.of(source, self.part)


@dataclass(frozen=True)
class Capture(JsonRecord):
    """One capture, as probed by the capture stage."""

    kind: Literal["file", "folder"]
    takes: tuple[SourceFileInfo, ...]
    """In order; a folder of ready scenes has one for each."""
    picture: VideoInfo
    sounds: tuple[AudioTrackInfo, ...]
    notes: Mapping[str, Any]
    """Other measurements (confidence of the field order and the like), for people and provenance."""

    written_properties = ("frames",)

    @property
    def frames(self) -> int:
        """Frames of the whole capture."""
        return sum(take.frames for take in self.takes)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `capture.json`. Raises InputError if it is damaged, FileNotFoundError if it is not there yet."""
        return read_record(cls, path, error=InputError, remedy=REBUILD_REMEDY)

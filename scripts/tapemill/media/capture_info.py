"""Properties of a capture that later stages need: the content of `capture.json`.

Jobs get them as params, as plain values, so that a changed property is a visible reason to run a job again and a file
time is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self

from tapemill.core.errors import InputError
from tapemill.core.timing import format_fraction
from tapemill.storage import untrusted_text

from .cfr import CfrGrid
from .colour import Colour

REBUILD_REMEDY = "delete it, and the workflow makes it again"

FieldOrder = Literal["tff", "bff", "progressive"]


class JsonRecord:
    """Dataclasses to and from plain JSON values, with fractions as "30000/1001"."""

    def to_plain(self) -> dict[str, Any]:
        """Return plain values that JSON and Snakemake's params can hold."""
        return {key: _plain(value) for key, value in asdict(self).items()}  # type: ignore[call-overload]

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Self:
        """Build from the output of `to_plain`. Raises KeyError if a value is missing."""
        return cls(**{field.name: _typed(field.type, values[field.name]) for field in fields(cls)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class VideoInfo(JsonRecord):
    """Video of a cut scene: rotated upright, at a constant rate, not yet deinterlaced."""

    width: int
    height: int
    pixel_format: str
    bit_depth: int
    sample_aspect_ratio: Fraction
    rate: Fraction
    field_order: FieldOrder
    colour: Colour


@dataclass(frozen=True)
class AudioTrackInfo(JsonRecord):
    """One audio track of the capture."""

    stream_index: int
    codec: str
    sample_rate_hz: int
    channels: int
    language: str
    title: str


@dataclass(frozen=True)
class SourceFileInfo(CfrGrid, JsonRecord):
    """One media file of the capture and its timeline: the whole capture, or one file of a folder of ready scenes."""

    file: str
    """File name for display: bytes that are not UTF-8 are escaped."""
    stream_index: int
    """The video stream."""


@dataclass(frozen=True)
class Capture:
    """One capture, as probed by the capture stage."""

    kind: Literal["file", "folder"]
    takes: tuple[SourceFileInfo, ...]
    picture: VideoInfo
    sounds: tuple[AudioTrackInfo, ...]
    notes: Mapping[str, Any]
    """Other measurements (confidence of the field order and the like), for people and provenance."""

    @property
    def frames(self) -> int:
        """Frames of the whole capture."""
        return sum(take.frames for take in self.takes)

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "kind": self.kind,
            "frames": self.frames,
            "takes": [take.to_plain() for take in self.takes],
            "picture": self.picture.to_plain(),
            "sounds": [sound.to_plain() for sound in self.sounds],
            "notes": dict(self.notes),
        }

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `capture.json`. Raises InputError if it is damaged, FileNotFoundError if it is not there yet."""
        values = untrusted_text.read_json(path, error=InputError, remedy=REBUILD_REMEDY)
        try:
            return cls(
                kind=values["kind"],
                takes=tuple(SourceFileInfo.from_plain(take) for take in values["takes"]),
                picture=VideoInfo.from_plain(values["picture"]),
                sounds=tuple(AudioTrackInfo.from_plain(sound) for sound in values["sounds"]),
                notes=values["notes"],
            )
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise InputError(
                f"this is no record of a capture: {type(error).__name__}, {error}", file=path, remedy=REBUILD_REMEDY
            ) from error


def _plain(value: Any) -> Any:
    return format_fraction(value) if isinstance(value, Fraction) else value


def _typed(annotation: Any, value: Any) -> Any:
    # Annotations are text here (postponed evaluation).
    if annotation == "Fraction":
        return Fraction(value)
    if annotation == "Colour":
        return Colour(**value)
    return value

"""Record of an enhanced clip (`enhanced/{scene}.json`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tapemill.core.job_warnings import JobWarning
from tapemill.media.capture_info import Crop, FieldOrder
from tapemill.media.colour import Colour
from tapemill.storage.typed_json import JsonRecord, optional, optional_mapping, unknown_keys

from .common import Count, Failure, Rejection, Sha256


@dataclass(frozen=True)
class NetworkRun(JsonRecord):
    """Network that a scene passed through."""

    model: str
    """Path or name of the model, as in the chain."""
    sha256: str
    scale: int
    strength: float
    """Share of the network's output in the result; the rest is its input."""
    precision: str
    """Type of numbers it computed with."""
    frames: int
    """Frames of a window."""
    tile_samples: int | None
    """Side of a tile; null for whole frames."""
    seed: int
    lowered: tuple[Rejection, ...] = optional(())
    """Plans that did not fit into memory; empty if the first one did."""


@dataclass(frozen=True)
class FilmRecord(JsonRecord):
    """Film in an interlaced scene."""

    pattern: str
    """Fields of successive film frames: 2:2 or 3:2."""
    confidence: float | None
    """Expected share of moving fields, of the scene or of the whole tape, that follow the pattern; null if the sheet
    demands film."""
    fields: Count
    """All fields of the scene."""
    deinterlaced: Count
    """Fields that are shown and are of no film frame with a neighbour. All others are woven."""
    is_whole_tape: bool = optional(False)
    """Whether the tape is film as a whole, so that each film frame is shown once."""
    dropped: Count = optional(0)
    """Film frames that are not shown, because the video was edited after it was made from film."""
    repeated: Count = optional(0)
    """Film frames that are shown twice for the same reason."""


@dataclass(frozen=True)
class CutRecord(JsonRecord):
    """ffmpeg command line that cut the scene out of the capture, from a tag of the cut."""

    command: str
    ffmpeg: str = optional("")
    """Build of ffmpeg."""


@dataclass(frozen=True)
class ClipRecord(JsonRecord):
    """How a clip was made. Files have names in braces in commands, such as {cut} and {clip}, instead of paths."""

    encoder: str
    encoder_asked: str
    """Encoder of the settings."""
    field_order: FieldOrder
    field_order_differs: bool
    """Whether the scene's field order differs from the tape's."""
    field_orders_seen: Mapping[str, int]
    """Frames by field order, as counted in this scene; empty if they were not counted."""
    frames_in: Count
    frames_out: Count
    crop: Crop
    """Part of the cut's frame."""
    width: int
    height: int
    rate: Fraction
    pixel_format: str
    colour: Colour
    filters: tuple[str, ...]
    """ffmpeg filters; with networks those before the first one."""
    commands: tuple[str, ...]
    """Command lines of ffmpeg."""
    codec_private_sha256: Sha256
    """Of the codec's parameters; equal for all clips of a tape."""
    likeness: tuple[float, ...]
    """Correlation of key frames of the clip with those of the scene."""
    programs: Mapping[str, str] = optional_mapping()
    """Versions by program."""
    filters_after: tuple[str, ...] | None = optional()
    """ffmpeg filters after the last network."""
    networks: tuple[NetworkRun, ...] = optional(())
    cut_with: CutRecord | None = optional()
    stands_in: str | None = optional()
    """Damaged frames that are substituted by others."""
    kept_original: Failure | None = optional()
    """Why the scene is not restored."""
    film: FilmRecord | None = optional()
    """Film in the scene; its fields are woven."""
    sha256: Sha256 | None = optional()
    """Of the clip's file. Clips of version 0.2 and older have none."""
    unknown: Mapping[str, Any] = unknown_keys()

    def warnings(self, scene: str = "") -> Iterator[JobWarning]:
        """Yield the deviations from the request: original kept, frames substituted, networks downgraded.

        `scene` is the name for the warnings, if they are not of the job's own scene.
        """
        if self.kept_original:
            yield JobWarning("kept", str(self.kept_original), scene)
        if self.stands_in:
            yield JobWarning("stands_in", self.stands_in, scene)
        for network in self.networks:
            if network.lowered:
                yield JobWarning("lowered", f"{network.model} ran on smaller tiles or fewer frames", scene)

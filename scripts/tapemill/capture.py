"""Stage capture: find out what a capture is, once, so that no later stage has to guess.

A capture is one media file, or a folder of scene files that were cut already.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from .errors import InputError
from .facts import Capture, FieldOrder, PictureFacts, SoundFacts, TakeFacts
from .fields import FieldCounts, count_fields
from .files import scene_files, write_json
from .grid import choose_rate, lay_grid
from .media import Media, Picture, packet_times, probe
from .timing import format_fraction

LOG = logging.getLogger("tapemill.capture")

# Standard definition rasters (ITU-R BT.601 and its cropped and half-height forms) are never meant to be shown with
# square samples; a file of that size that does not say is a 4:3 tape.
SD_WIDTHS = frozenset({352, 360, 480, 544, 702, 704, 720})
SD_HEIGHTS = frozenset({240, 288, 480, 486, 576})
# Interlaced video has at least the lines of NTSC and at most 30 frames a second, and 720 lines are progressive in every
# standard. Anything else is not asked, because sharp single lines look like combs in small pictures.
FEWEST_INTERLACED_LINES = 400
PROGRESSIVE_LINES = 720
FASTEST_INTERLACED_RATE = 30


@dataclass(frozen=True)
class CaptureSettings:
    """Config section `capture`."""

    field_order_spots: int
    field_order_frames: int
    longest_gap_s: float


def probe_capture(
    *, source: Path, target: Path, field_order: str, display_aspect: Fraction | None, settings: CaptureSettings
) -> None:
    """Write `capture.json` for a capture file or a folder of scene files.

    `field_order` is the sheet's word or "auto"; `display_aspect` is the sheet's, or None to believe the file.
    Raises InputError if the capture cannot be used.
    """
    files = scene_files(source) if source.is_dir() else [source]
    if not files:
        raise InputError("this folder holds no scene files", file=source, remedy="check the sheet's source")
    media = [probe(file) for file in files]
    takes = [_take(file, found, settings) for file, found in zip(files, media, strict=True)]
    _agree(files, media, takes)
    first = media[0]
    order, order_notes = _field_order(files, takes, first.picture.height, field_order, settings)
    capture = Capture(
        kind="folder" if source.is_dir() else "file",
        takes=tuple(takes),
        picture=_picture(first.picture, takes[0].rate, order, display_aspect),
        sounds=tuple(
            SoundFacts(s.stream_index, s.codec, s.sample_rate_hz, s.channels, s.language, s.title) for s in first.sounds
        ),
        notes={
            "container": first.container,
            "codec": first.picture.codec,
            "rotation_deg": first.picture.rotation_deg,
            "field_order": order_notes,
            "sound_starts_after_picture_s": [format_fraction(s.start_s - takes[0].start_s) for s in first.sounds],
            "variable_rate": any(take.irregular for take in takes),
        },
    )
    LOG.info("%d frames at %s, field order %s (%s)", capture.frames, takes[0].rate, order, order_notes["found_by"])
    write_json(target, capture.to_plain())


def _take(file: Path, media: Media, settings: CaptureSettings) -> TakeFacts:
    picture = media.picture
    times, last_duration = packet_times(file, picture.stream_index)
    longest = max((int(step) for step in times[1:] - times[:-1]), default=0) * picture.time_base
    if longest > settings.longest_gap_s:
        raise InputError(
            f"the time stamps jump by {float(longest):.1f} s at one place",
            file=file,
            remedy="if that is a real pause, raise capture.longest_gap_s and it is filled with the frame before it;"
            " otherwise remux the capture so that its time stamps are continuous",
        )
    grid = lay_grid(
        times, last_duration, picture.time_base, choose_rate(times, picture.time_base, picture.stated_rates)
    )
    if grid.duplicates or grid.drops:
        LOG.warning(
            "%s: variable rate, brought to %s frames/s with %d frames repeated and %d dropped",
            file.name, grid.rate, grid.duplicates, grid.drops,
        )  # fmt: skip
    name = file.name.encode("utf-8", "backslashreplace").decode()
    return TakeFacts(**asdict(grid), file=name, stream_index=picture.stream_index)


def _agree(files: Sequence[Path], media: Sequence[Media], takes: Sequence[TakeFacts]) -> None:
    """Scene files of one tape come from one capture: what differs cannot be joined without guessing."""

    def traits(position: int) -> dict[str, Any]:
        picture = media[position].picture
        return {
            "size": (picture.width, picture.height),
            "rotation": picture.rotation_deg,
            "frame rate": takes[position].rate,
            "sample aspect ratio": picture.sample_aspect_ratio,
            "number of sound tracks": len(media[position].sounds),
        }

    expected = traits(0)
    for position in range(1, len(files)):
        for name, value in traits(position).items():
            if value != expected[name]:
                raise InputError(
                    f"this scene file does not fit the others: its {name} is {value}, that of {files[0].name} is"
                    f" {expected[name]}",
                    file=files[position],
                    remedy="convert it to match, or make it a tape of its own",
                )


def _field_order(
    files: Sequence[Path], takes: Sequence[TakeFacts], lines: int, stated: str, settings: CaptureSettings
) -> tuple[FieldOrder, dict[str, Any]]:
    """The tape's field order: the sheet's word, or what several spots of a picture that can be interlaced show."""
    if stated != "auto":
        order: FieldOrder = stated  # type: ignore[assignment]  # the schema allows nothing else
        return order, {"found_by": "sheet"}
    if lines < FEWEST_INTERLACED_LINES or lines == PROGRESSIVE_LINES or takes[0].rate > FASTEST_INTERLACED_RATE:
        return "progressive", {"found_by": "size and rate"}
    counts = FieldCounts()
    for file, take, spots in _spots(files, takes, settings.field_order_spots):
        counts += count_fields(file, take.stream_index, spots, settings.field_order_frames)
    order, confidence = counts.judge()
    return order, {
        "found_by": "idet",
        "confidence": round(confidence, 3),
        "frames": {"tff": counts.tff, "bff": counts.bff, "progressive": counts.progressive, "all": counts.frames},
    }


def _spots(
    files: Sequence[Path], takes: Sequence[TakeFacts], count: int
) -> list[tuple[Path, TakeFacts, list[Fraction]]]:
    """Spread `count` places evenly over all files; seconds count from each file's own beginning."""
    if len(files) > count:
        chosen = [position * len(files) // count for position in range(count)]
        return [(files[i], takes[i], [Fraction(takes[i].frames, 3) / takes[i].rate]) for i in chosen]
    each = max(1, count // len(files))
    return [
        (file, take, [Fraction(take.frames * (2 * spot + 1), 2 * each) / take.rate for spot in range(each)])
        for file, take in zip(files, takes, strict=True)
    ]


def _picture(picture: Picture, rate: Fraction, order: FieldOrder, display_aspect: Fraction | None) -> PictureFacts:
    width, height, ratio = picture.width, picture.height, picture.sample_aspect_ratio
    if picture.rotation_deg in (90, 270):
        width, height = height, width
        ratio = 1 / ratio if ratio else None
    if display_aspect is None and ratio is None and width in SD_WIDTHS and height in SD_HEIGHTS:
        display_aspect = Fraction(4, 3)
    return PictureFacts(
        width=width,
        height=height,
        pixel_format=picture.pixel_format,
        bit_depth=picture.bit_depth,
        sample_aspect_ratio=display_aspect * height / width if display_aspect else ratio or Fraction(1),
        rate=rate,
        field_order=order,
        colour=picture.colour,
    )

"""Stage capture: probe a capture once and write `capture.json` for all later stages.

A capture is one media file, or a folder of scene files that were cut already.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from tapemill.config.aspect import SheetAspect
from tapemill.core.errors import InputError
from tapemill.core.progress import ByteProgress, report
from tapemill.core.timing import format_fraction
from tapemill.media.capture_info import Capture, FieldOrder, SourceFileInfo, VideoInfo
from tapemill.media.containers.file_parts import part_of
from tapemill.media.ffmpeg.limits import timeout_s
from tapemill.media.stream_info import MediaInfo, VideoStreamInfo
from tapemill.storage.atomic import write_json
from tapemill.storage.fingerprint import scene_files

from .audio_length import describe_audio, length_remarks
from .field_order import FieldCounts, count_fields, decide, stated_field_order
from .geometry import cut_out, sample_aspect_ratio
from .settings import CaptureSettings
from .validation import ValidatedFile, ensure_not_growing, validate_capture

__all__ = ["CaptureSettings", "probe_capture"]

LOG = logging.getLogger("tapemill.capture")

# Interlaced video has at least the lines of NTSC and at most 30 frames a second, and 720 lines are progressive in every
# standard. Nothing else is measured, because sharp single lines look like combing in small frames.
MIN_INTERLACED_LINES = 400
PROGRESSIVE_LINES = 720
MAX_INTERLACED_RATE = 30


def probe_capture(
    *,
    source: Path,
    target: Path,
    field_order: str,
    display_aspect: Fraction | None,
    settings: CaptureSettings,
    pixel_aspect: Fraction | None = None,
) -> None:
    """Write `capture.json` for a capture file or a folder of scene files.

    `field_order` is that of the sheet, or "auto"; `display_aspect` and `pixel_aspect` are those of the sheet, both None
    to use the file's. Raises InputError if the capture cannot be used.
    """
    files = scene_files(source) if source.is_dir() else [source]
    if not files:
        raise InputError("this folder holds no scene files", file=source, remedy="check the sheet's source")
    with ensure_not_growing(files):
        validated = list(_validate_all(files, settings))
    is_folder = source.is_dir()
    files = [each.file for each in validated]
    media = [each.media for each in validated]
    takes = [_source_file(found) for found in validated]
    _require_equal(files, media, takes)
    first = media[0]
    lead_s = max(each.longest_lead_s for each in validated)
    order, order_notes = _field_order(files, takes, first.picture, field_order, settings, lead_s)
    sounds = describe_audio(validated, takes)
    capture = Capture(
        kind="folder" if is_folder else "file",
        takes=tuple(takes),
        picture=_video_info(validated[0], takes[0].rate, order, SheetAspect(display_aspect, pixel_aspect)),
        sounds=sounds,
        notes={
            "container": first.container,
            "codec": first.picture.codec,
            "rotation_deg": first.picture.rotation_deg,
            "field_order": order_notes,
            "sound_starts_after_picture_s": [format_fraction(takes[0].tape_s(s.start_s)) for s in first.sounds],
            "variable_rate": any(take.irregular for take in takes),
            **_remarks(validated, *length_remarks(sounds, takes[0].frames / takes[0].rate), is_folder=is_folder),
        },
    )
    found_by = order_notes["found_by"]
    report(f"{capture.frames} frames at {takes[0].rate}, field order {order} ({found_by})", frames=capture.frames)
    write_json(target, capture.to_plain())


def _validate_all(files: Sequence[Path], settings: CaptureSettings) -> Iterator[ValidatedFile]:
    # A file that cannot be accessed is reported when it is opened.
    reading = ByteProgress([file.stat().st_size if file.is_file() else 0 for file in files], "reading the capture")
    for file in files:
        reading.next_file()
        yield from validate_capture(file, settings, reading.reach)


def _remarks(validated: Sequence[ValidatedFile], *of_audio: str, is_folder: bool) -> dict[str, list[str]]:
    """Collect irregularities of a capture that is accepted nevertheless; no key if there are none."""
    remarks = [
        f"{_display_name(each.file)}: {remark}" if is_folder and len(validated) > 1 else remark
        for each in validated
        for remark in each.remarks
    ]
    remarks += of_audio
    return {"remarks": remarks} if remarks else {}


def _display_name(file: Path) -> str:
    return file.name.encode("utf-8", "backslashreplace").decode()


def _source_file(validated: ValidatedFile) -> SourceFileInfo:
    grid, file = validated.grid, validated.file
    if grid.duplicates or grid.drops:
        LOG.warning(
            "%s: variable rate, brought to %s frames/s with %d frames repeated and %d dropped",
            file.name, grid.rate, grid.duplicates, grid.drops,
        )  # fmt: skip
    return SourceFileInfo(
        **vars(grid),
        file=_display_name(file),
        stream_index=validated.media.picture.stream_index,
        part=part_of(file),
        container_crop=validated.container_crop,
    )


def _require_equal(files: Sequence[Path], media: Sequence[MediaInfo], takes: Sequence[SourceFileInfo]) -> None:
    """Raise InputError unless all scene files have equal properties: others cannot be joined."""

    def properties(position: int) -> dict[str, Any]:
        picture = media[position].picture
        return {
            "size": (picture.width, picture.height),
            "rotation": picture.rotation_deg,
            "frame rate": takes[position].rate,
            "sample aspect ratio": picture.sample_aspect_ratio,
            "number of audio tracks": len(media[position].sounds),
        }

    expected = properties(0)
    for position in range(1, len(files)):
        for name, value in properties(position).items():
            if value != expected[name]:
                raise InputError(
                    f"this scene file does not fit the others: its {name} is {value}, that of {files[0].name} is"
                    f" {expected[name]}",
                    file=files[position],
                    remedy="convert it to match, or make it a separate tape",
                )


def _field_order(
    files: Sequence[Path],
    takes: Sequence[SourceFileInfo],
    picture: VideoStreamInfo,
    stated: str,
    settings: CaptureSettings,
    lead_s: Fraction,
) -> tuple[FieldOrder, dict[str, Any]]:
    """Return the tape's field order, and notes: from the sheet, or measured if it may be interlaced."""
    if stated != "auto":
        order: FieldOrder = stated  # type: ignore[assignment]  # the schema allows nothing else
        return order, {"found_by": "sheet"}
    if picture.is_turned:
        # Lines of fields would be columns upright. Cameras that are held upright have no fields.
        return "progressive", {"found_by": "rotation"}
    lines = picture.height
    if lines < MIN_INTERLACED_LINES or lines == PROGRESSIVE_LINES or takes[0].rate > MAX_INTERLACED_RATE:
        return "progressive", {"found_by": "size and rate"}
    counts: list[FieldCounts] = []
    for file, take, spots in _spots(files, takes, settings.field_order_spots):
        limit_s = timeout_s(
            reads=[file],
            samples=picture.width * picture.height,
            decoded=settings.field_order_frames + float(lead_s * take.rate),
        )
        frames = settings.field_order_frames
        counts += count_fields(
            *(file, picture, take.stream_index, spots, frames), timeout_s=limit_s, decoding=take.decoding
        )
    decision = decide(counts, stated_field_order(picture))
    return decision.order, decision.notes


def _spots(
    files: Sequence[Path], takes: Sequence[SourceFileInfo], count: int
) -> list[tuple[Path, SourceFileInfo, list[Fraction]]]:
    """Spread `count` positions evenly over all files; return each file's in seconds from its start."""
    if len(files) > count:
        chosen = [position * len(files) // count for position in range(count)]
        return [(files[i], takes[i], [Fraction(takes[i].frames, 3) / takes[i].rate]) for i in chosen]
    each = max(1, count // len(files))
    return [
        (file, take, [Fraction(take.frames * (2 * spot + 1), 2 * each) / take.rate for spot in range(each)])
        for file, take in zip(files, takes, strict=True)
    ]


def _video_info(file: ValidatedFile, rate: Fraction, order: FieldOrder, aspect: SheetAspect) -> VideoInfo:
    picture = file.media.picture
    width, height = picture.upright_size
    crop = cut_out(picture, file.container_crop)
    return VideoInfo(
        width=crop.width if crop else width,
        height=crop.height if crop else height,
        pixel_format=picture.pixel_format,
        bit_depth=picture.bit_depth,
        sample_aspect_ratio=sample_aspect_ratio(picture, aspect),
        rate=rate,
        field_order=order,
        colour=picture.colour,
        cut_out=crop,
    )

"""Validation of captures by content, before hours are spent on them.

Irregularities that can be handled become remarks in the notes of `capture.json`.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tapemill.core.errors import InputError, printable
from tapemill.core.timing import timestamp
from tapemill.media.capture_info import Crop
from tapemill.media.clock.cfr import CfrGrid, fit_cfr_grid
from tapemill.media.clock.frame_rate import guess_frame_rate
from tapemill.media.clock.origins import ClockOrigin
from tapemill.media.container_integrity import is_scrambled, truncated_bytes, unreachable_bytes
from tapemill.media.containers.container_crop import read_container_crop
from tapemill.media.containers.file_parts import FilePart
from tapemill.media.packet_index import PacketIndex
from tapemill.media.packets import is_encrypted, scan_packets
from tapemill.media.probe import open_media, probe, video_stream
from tapemill.media.stream_info import MediaInfo

from .content import COPY_AGAIN, check_zeros, edit_list_remarks
from .decode_samples import DecodeSample, detect_paff, find_size_change, sample_decode
from .geometry import geometry_remarks
from .joined_recordings import joined_parts, require_same_streams, unseparable
from .settings import CaptureSettings
from .time_checks import check_grid, check_last_frame, check_times

LOG = logging.getLogger("tapemill.capture")

# A file being recorded grows within this time: recorders write many times per second.
GROWTH_WAIT_S = 1.0
MAX_NAMED = 10
# A header may round, and audio may end a little before or after the video.
SHORT_S, SHORT_SHARE = Fraction(1), Fraction(1, 100)


@dataclass(frozen=True)
class ValidatedFile:
    """A file, or one of the recordings joined in it, that was accepted as a capture."""

    file: Path
    """The file or its part."""
    media: MediaInfo
    grid: CfrGrid
    longest_lead_s: Fraction
    """The longest time without a key frame."""
    remarks: tuple[str, ...]
    ends_s: Mapping[int, Fraction]
    """End of the last packet of each stream, by its index, on the file's clock."""
    container_crop: Crop | None


@contextmanager
def ensure_not_growing(files: Sequence[Path]) -> Iterator[None]:
    """Raise InputError, in preference to other errors, if files change while the block reads them."""
    before = [_state(file) for file in files]
    try:
        yield
    finally:
        youngest = max((modified_ns for _, modified_ns in before), default=0)
        # The clock may be wrong: never wait longer than it takes a file to grow.
        time.sleep(min(max(0.0, GROWTH_WAIT_S - (time.time_ns() - youngest) / 1e9), GROWTH_WAIT_S))
        for file, state in zip(files, before, strict=True):
            if _state(file) != state:
                raise InputError(
                    "this file is still being written", file=file, remedy="wait until the capture is finished"
                )


def _state(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def validate_capture(
    file: Path, settings: CaptureSettings, reached: Callable[[int, int], None] | None = None
) -> list[ValidatedFile]:
    """Read all packets of a file and decode samples of its frames. Raises InputError if it cannot be a capture.

    Recordings that were joined in it are returned one by one. `reached` is called with the progress, as by
    `scan_packets`.
    """
    remarks = [*check_zeros(file, allow_truncated=settings.allow_truncated), *edit_list_remarks(file)]
    _reject_encrypted(file)
    media = probe(file)
    packets = scan_packets(file, media.picture.stream_index, reached)
    parts = joined_parts(file, media, packets)
    if not parts:
        return [_validate(file, media, packets, settings, remarks)]
    paths = [FilePart.of(file, part) for part in parts]
    each_media = [probe(path) for path in paths]
    require_same_streams(file, parts, each_media)
    found = []
    for path, one in zip(paths, each_media, strict=True):
        index = scan_packets(path, one.picture.stream_index)
        if index.jumps_back:
            raise unseparable(file, one, index)
        found.append(_validate(path, one, index, settings, []))
    borders = list(itertools.accumulate(each.grid.frames / each.grid.rate for each in found))[:-1]
    remarks.append(
        f"{len(found)} recordings are joined in this file; they follow one another, each by its own clock, from"
        f" {', '.join(timestamp(border) for border in borders[:MAX_NAMED])}{' …' * (len(borders) > MAX_NAMED)} on"
    )
    LOG.warning("%s: %s", printable(file.name), remarks[-1])
    return [replace(found[0], remarks=(*remarks, *found[0].remarks)), *found[1:]]


def _validate(
    file: Path, media: MediaInfo, packets: PacketIndex, settings: CaptureSettings, remarks: list[str]
) -> ValidatedFile:
    """Check a file with one clock, or a part of one."""
    video = media.picture
    if max(video.width, video.height) > settings.largest_side:
        raise InputError(
            f"its frames are {video.width} × {video.height}, larger than any tape",
            file=file,
            remedy=f"if they really are, raise capture.largest_side ({settings.largest_side})",
        )
    remarks += _check_truncation(file, media.container, packets, settings)
    check_times(file, packets, settings)
    samples = sample_decode(file, video.stream_index, packets)
    remarks += _check_samples(file, packets, samples)
    times, last_duration = packets.times + packets.decoder_delay, packets.last_duration
    fields = detect_paff(times, samples)
    if fields is not None:
        times, last_duration = fields
        remarks.append("the two fields of a frame are stored separately (PAFF)")
    rate = guess_frame_rate(times, video.time_base, video.stated_rates)
    grid = fit_cfr_grid(times, last_duration, video.time_base, rate).extended(packets.null_frames)
    if packets.decoder_delay:
        # Only the decoder is late, not the recording.
        grid = replace(grid, drift=(ClockOrigin(0, grid.start_pts - packets.decoder_delay),))
    check_grid(file, grid, settings)
    check_last_frame(file, grid, last_duration + packets.null_frames, settings)
    crop = read_container_crop(file, media.container, video)
    remarks += geometry_remarks(video, crop)
    for remark in remarks:
        LOG.warning("%s: %s", printable(file.name), remark)
    return ValidatedFile(file, media, grid, packets.longest_lead[0], tuple(remarks), packets.ends_s, crop)


def _reject_encrypted(file: Path) -> None:
    with open_media(file) as container:
        index, name = video_stream(container, file).index, container.format.name
    if is_encrypted(file, index) or is_scrambled(file, name):
        raise InputError(
            "its video is encrypted",
            file=file,
            remedy="make a copy without protection, with the program or device that it was made with",
        )


def _check_truncation(file: Path, container: str, packets: PacketIndex, settings: CaptureSettings) -> list[str]:
    """Describe how much of a truncated file is readable; raise InputError unless the settings allow it."""
    stated, readable = packets.stated_s, packets.readable_s
    is_short = stated is not None and stated - readable > max(SHORT_S, SHORT_SHARE * stated)
    missing, unreachable = truncated_bytes(file, container), unreachable_bytes(file, container)
    if not (is_short or missing or unreachable or packets.error):
        return []
    of_all = f"of {float(stated):.1f} s " if stated is not None and stated > readable else ""
    why = f" ({packets.error})" if packets.error else f" ({missing} bytes are missing)" if missing else ""
    if unreachable:
        why = f" ({unreachable} bytes are behind a damaged place)"
    found = f"this file is cut off{why}: {float(readable):.1f} s {of_all}can be read"
    if not of_all:
        found += "; its full length is unknown"
    if settings.allow_truncated:
        return [found]
    raise InputError(
        found, file=file, remedy=f"{COPY_AGAIN}; to use the part that is there, set capture: allow_truncated: true"
    )


def _check_samples(file: Path, packets: PacketIndex, samples: Sequence[DecodeSample]) -> list[str]:
    """Reject files that cannot be decoded anywhere, or change their frame size; return remarks."""
    failed = [sample for sample in samples if sample.size is None]
    if len(failed) == len(samples):
        raise InputError(
            f"at none of {len(samples)} positions a frame can be decoded",
            file=file,
            tool="PyAV",
            remedy=f"the file is damaged or encrypted; {COPY_AGAIN}",
        )
    other = find_size_change(samples)
    if other is not None:
        first = next(sample.size for sample in samples if sample.size is not None)
        since = (other.time - int(packets.times[0])) * packets.time_base
        assert first is not None and other.size is not None
        raise InputError(
            f"its frames change their size from {first[0]} × {first[1]} to {other.size[0]} × {other.size[1]}"
            f" at about {timestamp(since)}",
            file=file,
            remedy="divide it there, and give each part a row of the sheet: ffmpeg -i FILE -map 0 -c copy"
            f" -t {float(since):.3f} FIRST.mkv, and with -ss instead of -t for the rest",
        )
    if not failed:
        return []
    where = ", ".join(timestamp((sample.time - int(packets.times[0])) * packets.time_base) for sample in failed[:3])
    return [f"at {len(failed)} of {len(samples)} positions no frame can be decoded: {where}"]

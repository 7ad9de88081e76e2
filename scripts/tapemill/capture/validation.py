"""Validation of captures by content, before hours are spent on them.

Irregularities that can be handled become remarks in the notes of `capture.json`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tapemill.core.errors import InputError, printable
from tapemill.core.timing import timestamp
from tapemill.media.capture_info import Crop
from tapemill.media.cfr import CfrGrid, fit_cfr_grid, guess_frame_rate
from tapemill.media.container_crop import read_container_crop
from tapemill.media.container_integrity import is_scrambled, truncated_bytes, unreachable_bytes
from tapemill.media.ffmpeg.limits import MAX_KEYFRAME_DISTANCE_S
from tapemill.media.packets import PacketIndex, is_encrypted, scan_packets
from tapemill.media.probe import MediaInfo, open_media, probe, video_stream

from .content import COPY_AGAIN, check_zeros, edit_list_remarks
from .decode_samples import DecodeSample, detect_paff, find_size_change, sample_decode
from .geometry import geometry_remarks

LOG = logging.getLogger("tapemill.capture")

# A file being recorded grows within this time: recorders write many times per second.
GROWTH_WAIT_S = 1.0
# A header may round, and audio may end a little before or after the video.
SHORT_S, SHORT_SHARE = Fraction(1), Fraction(1, 100)


@dataclass(frozen=True)
class CaptureSettings:
    """Config section `capture`."""

    field_order_spots: int
    field_order_frames: int
    longest_gap_s: float
    allow_truncated: bool
    largest_side: int
    highest_rate: float
    longest_h: float


@dataclass(frozen=True)
class ValidatedFile:
    """A file that was accepted as a capture."""

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
) -> ValidatedFile:
    """Read all packets of a file and decode samples of its frames. Raises InputError if it cannot be a capture.

    `reached` is called with the progress, as by `scan_packets`.
    """
    remarks = [*check_zeros(file, allow_truncated=settings.allow_truncated), *edit_list_remarks(file)]
    _reject_encrypted(file)
    media = probe(file)
    video = media.picture
    if max(video.width, video.height) > settings.largest_side:
        raise InputError(
            f"its frames are {video.width} × {video.height}, larger than any tape",
            file=file,
            remedy=f"if they really are, raise capture.largest_side ({settings.largest_side})",
        )
    packets = scan_packets(file, video.stream_index, reached)
    remarks += _check_truncation(file, media.container, packets, settings)
    _check_times(file, packets, settings)
    samples = sample_decode(file, video.stream_index, packets)
    remarks += _check_samples(file, packets, samples)
    times, last_duration = packets.times, packets.last_duration
    fields = detect_paff(times, samples)
    if fields is not None:
        times, last_duration = fields
        remarks.append("the two fields of a frame are stored separately (PAFF)")
    rate = guess_frame_rate(times, video.time_base, video.stated_rates)
    grid = fit_cfr_grid(times, last_duration, video.time_base, rate)
    _check_grid(file, grid, settings)
    _check_last_frame(file, grid, last_duration, settings)
    crop = read_container_crop(file, media.container, video)
    remarks += geometry_remarks(video, crop)
    for remark in remarks:
        LOG.warning("%s: %s", printable(file.name), remark)
    return ValidatedFile(media, grid, packets.longest_lead[0], tuple(remarks), packets.ends_s, crop)


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


def _check_times(file: Path, packets: PacketIndex, settings: CaptureSettings) -> None:
    """Reject time stamps that fit no grid, and captures with too few key frames."""
    if packets.jumps_back:
        before, after = packets.jumps_back[0]
        more = f", and {len(packets.jumps_back) - 1} times more" if len(packets.jumps_back) > 1 else ""
        raise InputError(
            f"the time stamps jump back from {float(before):.1f} s to {float(after):.1f} s{more}",
            file=file,
            remedy="several recordings seem to be joined; give each a row of the sheet, or make the time stamps"
            " continuous: ffmpeg -i FILE -map 0 -c copy NEW.mkv",
        )
    steps = packets.times[1:] - packets.times[:-1]
    longest = max((int(step) for step in steps), default=0) * packets.time_base
    if longest > settings.longest_gap_s:
        raise InputError(
            f"the time stamps jump by {float(longest):.1f} s at one place",
            file=file,
            remedy="if that is a real pause, raise capture.longest_gap_s and it is filled with the frame before it;"
            " otherwise remux the capture so that its time stamps are continuous",
        )
    lead, start = packets.longest_lead
    if lead > MAX_KEYFRAME_DISTANCE_S:
        raise InputError(
            f"there is no key frame for {float(lead):.0f} s from {timestamp(start)} on: each scene would have to be"
            " decoded from there",
            file=file,
            remedy="convert it once, without loss: ffmpeg -i FILE -map 0 -c:v ffv1 -g 1 -c:a copy NEW.mkv",
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


def _check_last_frame(file: Path, grid: CfrGrid, duration: int, settings: CaptureSettings) -> None:
    """Reject a last frame that lasts longer than a gap may: it is repeated as long, unless the rate is regular."""
    last_s = duration * grid.time_base
    if grid.irregular and last_s > settings.longest_gap_s:
        raise InputError(
            f"its last frame lasts {float(last_s):.1f} s",
            file=file,
            remedy="if that is a real pause, raise capture.longest_gap_s and it is repeated as long; otherwise remux"
            " the capture so that its time stamps are continuous",
        )


def _check_grid(file: Path, grid: CfrGrid, settings: CaptureSettings) -> None:
    """Reject rates and lengths that no tape has."""
    if grid.rate > settings.highest_rate:
        raise InputError(
            f"it has {float(grid.rate):.0f} frames a second, more than any tape",
            file=file,
            remedy=f"if it really has, raise capture.highest_rate ({settings.highest_rate:g})",
        )
    hours = grid.frames / grid.rate / 3600
    if hours > settings.longest_h:
        raise InputError(
            f"it lasts {float(hours):.1f} hours, longer than any tape",
            file=file,
            remedy=f"if it really does, raise capture.longest_h ({settings.longest_h:g})",
        )

"""Checks of a capture's time stamps, rate and length."""

from __future__ import annotations

from pathlib import Path

from tapemill.core.errors import InputError
from tapemill.core.timing import timestamp
from tapemill.media.clock.cfr import CfrGrid
from tapemill.media.ffmpeg.limits import MAX_KEYFRAME_DISTANCE_S
from tapemill.media.packet_index import PacketIndex

from .settings import CaptureSettings


def check_times(file: Path, packets: PacketIndex, settings: CaptureSettings) -> None:
    """Reject time stamps that fit no grid, and captures with too few key frames."""
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


def check_last_frame(file: Path, grid: CfrGrid, duration: int, settings: CaptureSettings) -> None:
    """Reject a last frame that lasts longer than a gap may: it is repeated as long, unless the rate is regular."""
    last_s = duration * grid.time_base
    if grid.irregular and last_s > settings.longest_gap_s:
        raise InputError(
            f"its last frame lasts {float(last_s):.1f} s",
            file=file,
            remedy="if that is a real pause, raise capture.longest_gap_s and it is repeated as long; otherwise remux"
            " the capture so that its time stamps are continuous",
        )


def check_grid(file: Path, grid: CfrGrid, settings: CaptureSettings) -> None:
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

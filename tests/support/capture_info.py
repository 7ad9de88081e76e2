"""Properties of a file as the capture stage finds them, but for the field order, which a test knows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tapemill.capture.probe import CaptureSettings
from tapemill.config.schema import load_config
from tapemill.media import probe
from tapemill.media.capture_info import AudioTrackInfo, Capture, FieldOrder, SourceFileInfo, VideoInfo
from tapemill.media.clock.cfr import CfrGrid, fit_cfr_grid
from tapemill.media.clock.frame_rate import guess_frame_rate
from tapemill.media.packets import scan_packets


def capture_settings(**changes: Any) -> CaptureSettings:
    """Return settings of the stage, small ones where more cost time."""
    defaults = load_config({})["capture"]
    return CaptureSettings(**{**defaults, "field_order_spots": 3, "field_order_frames": 20, **changes})


def capture_of(path: Path, *, interlaced: FieldOrder | None = None, rate: Fraction | None = None) -> Capture:
    """Probe a file. `rate` fits a capture of variable rate to another grid than the capture stage would choose."""
    found = probe.probe(path)
    packets = scan_packets(path, found.picture.stream_index)
    picture = found.picture
    turned = picture.rotation_deg % 180 != 0
    chosen = guess_frame_rate(packets.times, picture.time_base, picture.stated_rates)
    grid = fit_cfr_grid(packets.times, packets.last_duration, picture.time_base, rate or chosen)
    take = SourceFileInfo(file=str(path), stream_index=picture.stream_index, **vars(grid))
    facts = VideoInfo(
        width=picture.height if turned else picture.width,
        height=picture.width if turned else picture.height,
        pixel_format=picture.pixel_format,
        bit_depth=picture.bit_depth,
        sample_aspect_ratio=picture.sample_aspect_ratio or Fraction(1),
        rate=grid.rate,
        field_order=interlaced or "progressive",
        colour=picture.colour,
    )
    sounds = tuple(
        AudioTrackInfo(s.stream_index, s.codec, s.sample_rate_hz, s.channels, s.language, s.title) for s in found.sounds
    )
    return Capture("file", (take,), facts, sounds, {})


def from_zero(frames: int = 1) -> CfrGrid:
    """Return the grid of a file of 25 frames a second whose clock begins with frame 0."""
    return fit_cfr_grid(np.arange(frames) * 40, 40, Fraction(1, 1000), Fraction(25))

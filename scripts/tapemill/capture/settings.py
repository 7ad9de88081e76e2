"""Settings of the stage capture."""

from __future__ import annotations

from dataclasses import dataclass


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

"""Condition for a score of the demo in its report."""

from __future__ import annotations

from typing import Final

from tapemill.config.tape_sheet import TapeRow
from tapemill.enhance import Chain, EnhanceSettings

LINES: Final = 576
"""Of the demo's capture."""


def can_be_scored(row: TapeRow, capture: str, settings: EnhanceSettings, container: str) -> bool:
    """Whether a tape is the demo (`capture`), with an output of the size and rate of its truth."""
    filters = settings.filters(lines=LINES)
    has_its_shape = settings.height_lines is None and Chain.of(settings).scale == 1 and row.aspect in ("auto", "4:3")
    is_cropped = filters.crop_left_samples or filters.crop_right_samples or filters.crop_top_lines
    has_its_rate = settings.deinterlace == "bob" and row.field_order in ("auto", "tff")
    is_demo = str(row.source) == capture and container == "mkv"
    return bool(is_demo and has_its_shape and has_its_rate and not is_cropped)

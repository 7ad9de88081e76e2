"""The demo's score, for its pages: whether there can be one, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from .. import bounded
from ..enhance import Chain, EnhanceSettings
from ..errors import InputError
from ..settings import Tape

LINES: Final = 576
"""Of the demo's capture."""


def can_be_scored(row: Tape, capture: str, settings: EnhanceSettings, container: str) -> bool:
    """Whether a tape is the demo (`capture`), and comes out in the shape and at the rate of its truth."""
    filters = settings.filters(lines=LINES)
    has_its_shape = settings.height_lines is None and Chain.of(settings).scale == 1 and row.aspect in ("auto", "4:3")
    is_cropped = filters.crop_left_samples or filters.crop_right_samples or filters.crop_top_lines
    has_its_rate = settings.deinterlace == "bob" and row.field_order in ("auto", "tff")
    is_demo = str(row.source) == capture and container == "mkv"
    return bool(is_demo and has_its_shape and has_its_rate and not is_cropped)


def read_score(path: Path) -> dict[str, Any]:
    """What `score_demo` wrote."""
    return bounded.read_json(path, error=InputError, remedy="delete it, and the workflow makes it anew")

"""Aspect of the tape sheet: a display aspect of the picture, or an exact pixel aspect."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

from tapemill.core.errors import ConfigError
from tapemill.core.timing import parse_fraction

# Pixel aspects of video are near 1 for 4:3 (10:11, 16:15, 12:11), where no picture is. Those of 16:9 lie among the
# display aspects, so they are listed: of BT.601 for 720 and for 702 or 704 samples of PAL (of NTSC 32:27 and 40:33).
NEAR_SQUARE: Final = (Fraction(4, 5), Fraction(40, 33))
WIDE_PIXEL_ASPECTS: Final = frozenset({Fraction(16, 11), Fraction(64, 45), Fraction(118, 81)})
# Beyond these no picture has its shape.
LIMITS: Final = (Fraction(1, 4), Fraction(4))


@dataclass(frozen=True)
class SheetAspect:
    """Aspect of the upright picture, as the sheet has it; both are None for `auto`."""

    display: Fraction | None = None
    pixel: Fraction | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a cell that fits the schema. Raises ConfigError for a ratio that no picture has."""
        if text == "auto":
            return cls()
        ratio = parse_fraction(text)
        if not LIMITS[0] <= ratio <= LIMITS[1]:
            raise ConfigError(
                f"aspect: no picture has the aspect {text}", remedy="write width:height, for example 4:3 or 16:9"
            )
        is_pixel = NEAR_SQUARE[0] <= ratio <= NEAR_SQUARE[1] or ratio in WIDE_PIXEL_ASPECTS
        return cls(pixel=ratio) if is_pixel else cls(display=ratio)

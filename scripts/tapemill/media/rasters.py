"""Known rasters of standard definition: the active picture of their frames, and the shape of their samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

FOUR_BY_THREE: Final = Fraction(4, 3)
DISPLAY_ASPECTS: Final = (FOUR_BY_THREE, Fraction(16, 9))
# ITU-R BT.601 and its cropped, half-width and half-height forms. Devices and players take the full raster for 4:3 or
# 16:9, although the standard has it for 702 or 704 of 720 samples.
WIDTHS: Final = (352, 360, 480, 528, 544, 702, 704, 720)
HEIGHTS: Final = (240, 288, 480, 486, 576)
FULL_LINES: Final = 480
# Recorders of Digital Betacam and IMX (SMPTE 356M) begin a frame with line 7 of the first field: with so many lines of
# the vertical blanking interval, by the number of all lines. The picture begins with line 23 of 625, and 20 of 525.
VBI_LINES: Final = MappingProxyType({608: 32, 512: 26})
# Rasters of decoded tapes, sampled at four times the colour subcarrier: what ld-decode and vhs-decode write for the
# active line, with blanking at its sides that rounds the width up. Active are 52 µs of PAL, and 52.66 µs of NTSC.
PAL_4FSC_WIDTHS: Final = (922, 928, 948)
PAL_4FSC_PICTURE: Final = (922, 576)
NTSC_4FSC_SIZES: Final = ((758, 480), (758, 486), (760, 480), (760, 486), (760, 488), (768, 486))
NTSC_4FSC_PICTURE: Final = (754, 485)
# A stated aspect is rounded by some containers.
TOLERANCE: Final = Fraction(1, 200)


@dataclass(frozen=True)
class Raster:
    """A raster, and the part of it that a display aspect is meant for."""

    width: int
    height: int
    picture_width: int
    picture_height: int
    vbi_lines: int = 0
    """Lines above the picture that no player shows."""

    @property
    def may_be_square(self) -> bool:
        """Whether its samples may be square: never where a field has its full lines. Clips of phones are 480 × 480."""
        return self.height < FULL_LINES or self.width == self.height

    def pixel_aspect(self, display_aspect: Fraction) -> Fraction:
        """Return the sample aspect ratio that gives the active picture a display aspect."""
        return display_aspect * self.picture_height / self.picture_width

    def corrected(self, stated: Fraction) -> Fraction:
        """Return the sample aspect ratio for one that a file states.

        Square samples are the default of Matroska, and of codecs that must state something. With lines of VBI it may be
        that of a display aspect divided by all lines, as MPEG-2 has it.
        """
        if stated == 1 and not self.may_be_square:
            return self.pixel_aspect(FOUR_BY_THREE)
        if not self.vbi_lines:
            return stated
        of_all_lines = stated * self.width / self.height
        meant = (aspect for aspect in DISPLAY_ASPECTS if abs(of_all_lines / aspect - 1) < TOLERANCE)
        return next(map(self.pixel_aspect, meant), stated)


def _rasters() -> Mapping[tuple[int, int], Raster]:
    found = [Raster(width, height, width, height) for width in WIDTHS for height in HEIGHTS]
    found += [Raster(720, height, 720, height - lines, lines) for height, lines in VBI_LINES.items()]
    found += [Raster(width, 576, *PAL_4FSC_PICTURE) for width in PAL_4FSC_WIDTHS]
    found += [Raster(width, height, *NTSC_4FSC_PICTURE) for width, height in NTSC_4FSC_SIZES]
    return MappingProxyType({(raster.width, raster.height): raster for raster in found})


RASTERS: Final = _rasters()


def find_raster(width: int, height: int) -> Raster | None:
    """Return the known raster of a frame size; None for any other size."""
    return RASTERS.get((width, height))

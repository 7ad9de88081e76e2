"""Colour tags: numbers of ITU-T H.273, and the names that ffmpeg's filter setparams has for them."""

from __future__ import annotations

from dataclasses import dataclass

from av import VideoCodecContext

# Tables 2 to 4, limited to what video files carry.
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
TRANSFERS = {
    **{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 13: "iec61966-2-1"},
    **{14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67"},
}
MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}
RANGES = {1: "tv", 2: "pc"}


@dataclass(frozen=True)
class Colour:
    """Colour tags as ffmpeg's filter setparams names them; "unknown" where the file has none."""

    primaries: str
    transfer: str
    matrix: str
    range: str


def colour_of(context: VideoCodecContext) -> Colour:
    """Read the colour tags of a stream."""
    return Colour(
        primaries=PRIMARIES.get(int(context.color_primaries), "unknown"),
        transfer=TRANSFERS.get(int(context.color_trc), "unknown"),
        matrix=MATRICES.get(int(context.colorspace), "unknown"),
        # The yuvj formats of older files mean "full range".
        range="pc" if (context.pix_fmt or "").startswith("yuvj") else RANGES.get(int(context.color_range), "unknown"),
    )

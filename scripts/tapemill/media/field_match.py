"""Field matching: find for each frame with which bottom field its top field belongs together.

A top field woven with a bottom field of another moment shows combing where something moves. The top field of each frame
is woven with the bottom fields of the frame before, of the same frame and of the next one. In progressive video that of
the same frame has the least combing. In interlaced video two of the three are half a frame away in time, and one is one
and a half frames away: that of the next frame with the top field first, of the previous frame with the bottom field
first. In film whose fields are shifted against the frames, one of the neighbours fits without combing.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

# Columns of a strip: frames are scaled to this width and keep all their lines. Averaging along lines removes noise and
# keeps combing.
STRIP_WIDTH: Final = 64

STILL: Final = "."
"""No movement: all three fit alike."""
SAME: Final = "c"
"""The fields of one frame fit, as in progressive video. The letters of the three matches are those of ffmpeg's filter
fieldmatch."""
PREVIOUS: Final = "p"
"""The bottom field of the frame before fits."""
NEXT: Final = "n"
"""The bottom field of the next frame fits."""
TOP_FIRST: Final = "t"
"""Interlaced, top field first."""
BOTTOM_FIRST: Final = "b"
"""Interlaced, bottom field first."""

# The three differ by less than this share and these levels where nothing moves. Noise of a VHS tape makes 1 %.
STILL_SHARE, STILL_LEVELS = 0.08, 0.05
# Position of the second of the three between the least (0) and the most combing (1). Expected for even movement: 0 for
# interlaced video, 1 for progressive, 1/2 for film with shifted fields.
FIT_POSITIONS: Final = {SAME: 0.55, PREVIOUS: 0.3, NEXT: 0.3}


def strip_filters(lines: int) -> list[str]:
    """Return the ffmpeg filters that make strips of frames of so many lines: 8-bit luma, STRIP_WIDTH columns."""
    return [f"scale={STRIP_WIDTH}:{lines}:flags=area+accurate_rnd+bitexact", "format=gray"]


class StripReader:
    """Converter of decoded frames to strips."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def strip(self, frame: VideoFrame) -> np.ndarray:
        """Return the strip of a frame, shape = (lines, STRIP_WIDTH), uint8."""
        return self._reformatter.reformat(
            frame, STRIP_WIDTH, frame.height, "gray", interpolation=Interpolation.AREA
        ).to_ndarray()


class FieldMatcher:
    """Matcher of fields, fed with the strips of successive frames."""

    def __init__(self) -> None:
        self._strips: deque[np.ndarray] = deque(maxlen=3)
        self._matches: list[str] = []

    def add(self, strip: np.ndarray) -> None:
        """Add the strip of the next frame, shape = (lines, columns), uint8."""
        self._strips.append(strip.astype(np.int16))
        if len(self._strips) == 3:
            self._matches.append(_match(*self._strips))
        elif len(self._strips) == 1:
            self._matches.append(STILL)

    def matches(self) -> str:
        """Return one letter for each frame. The first and the last have only one neighbour and count as still."""
        return "".join(self._matches) + (STILL if len(self._strips) > 1 else "")


def _match(before: np.ndarray, strip: np.ndarray, after: np.ndarray) -> str:
    top = strip[::2]
    fits = {letter: combing(top, other[1::2]) for letter, other in zip("pcn", (before, strip, after), strict=True)}
    least, middle, most = sorted(fits.values())
    if most - least < STILL_SHARE * least + STILL_LEVELS:
        return STILL
    best = min(fits, key=lambda letter: fits[letter])
    if middle - least >= FIT_POSITIONS[best] * (most - least):
        return best
    worst = max(fits, key=lambda letter: fits[letter])
    # Combing within a frame only is no order of fields: a damaged frame.
    return {NEXT: TOP_FIRST, PREVIOUS: BOTTOM_FIRST, SAME: STILL}[worst]


def combing(top: np.ndarray, bottom: np.ndarray) -> float:
    """Return the mean difference of each line, in levels, to those above and below it, which are of the other field."""
    pairs = min(len(top), len(bottom))
    if pairs < 2:
        return 0.0
    of_bottom = np.abs(top[: pairs - 1] + top[1:pairs] - 2 * bottom[: pairs - 1])
    of_top = np.abs(bottom[: pairs - 1] + bottom[1:pairs] - 2 * top[1:pairs])
    return float(of_bottom.mean() + of_top.mean()) / 2

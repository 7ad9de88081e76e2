"""Holes of an interlaced scene: frames that repeat another one because the capture has none in their place.

A repeated frame shows both of its moments again, so time would jump back by a field, and a deinterlacer would weave two
moments that are not neighbours. For the length of a hole one field is held instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Final, Literal

from tapemill.media.ffmpeg.command import sum_expression

HOLES_TAG: Final = "TAPEMILL_HOLES"
"""Matroska tag of a cut scene: its holes, as a JSON list of first frame, frame after the last, and repeated frame."""


@dataclass(frozen=True)
class Hole:
    """Frames [start_frame, stop_frame) of a scene that repeat another frame, which lies before or after them."""

    start_frame: int
    stop_frame: int
    shown_frame: int
    """Negative, or beyond the scene, if it belongs to a neighbouring scene."""

    @property
    def is_after_shown(self) -> bool:
        """Whether the repeated frame lies before the hole, so that its last field is held; otherwise its first."""
        return self.shown_frame < self.start_frame


def find_holes(numbers: Sequence[int], shown_frames: Sequence[int | None]) -> list[Hole]:
    """Find the holes of a scene.

    `numbers` count the source frames that its frames show, `shown_frames` are the places of these on the scene's
    timeline, None where unknown: the first of several frames that show the same is then taken for its place.
    """
    holes = []
    for start, stop in _runs(numbers):
        if stop - start == 1 and 0 < start < len(numbers) - 1:
            continue
        place = next((found for found in shown_frames[start:stop] if found is not None), start)
        before, after = (start, min(place, stop)), (max(place + 1, start), stop)
        holes += [Hole(first, last, place) for first, last in (before, after) if first < last]
    return holes


def holes_to_tag(holes: Iterable[Hole]) -> str:
    """Write holes as the text of HOLES_TAG."""
    return json.dumps([astuple(hole) for hole in holes])


def holes_from_tag(text: str | None) -> tuple[Hole, ...]:
    """Read the text of HOLES_TAG; None is a scene without holes."""
    return tuple(Hole(*values) for values in json.loads(text)) if text else ()


def hold_fields_filters(holes: Sequence[Hole], field_order: Literal["tff", "bff"]) -> list[str]:
    """Return ffmpeg filters that hold one field in each hole: its lines stay, those between are their means.

    They take planar frames of a scene, from its first frame on.
    """
    filters = []
    for holds_last in (True, False):
        chosen = [hole for hole in holes if hole.is_after_shown == holds_last]
        if chosen:
            lost_lines = int((field_order == "bff") == holds_last)
            filters.append(_interpolate(lost_lines, chosen))
    return filters


def _interpolate(lost_lines: int, holes: Sequence[Hole]) -> str:
    """Replace even (0) or odd lines (1) by the mean of their neighbours."""
    # The first and the last line have one neighbour only.
    above, below = "if(eq(Y,0),1,Y-1)", "if(eq(Y,H-1),H-2,Y+1)"
    planes = ":".join(
        f"{plane}='if(eq(mod(Y,2),{lost_lines}),({plane}(X,{above})+{plane}(X,{below}))/2,{plane}(X,Y))'"
        for plane in ("lum", "cb", "cr")
    )
    enabled = sum_expression([f"between(n,{hole.start_frame},{hole.stop_frame - 1})" for hole in holes])
    return f"geq={planes}:interpolation=nearest:enable='{enabled}'"


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First frame of each row of frames that show the same source frame, and the frame after its last."""
    starts = [index for index, number in enumerate(numbers) if index == 0 or number != numbers[index - 1]]
    return list(zip(starts, [*starts[1:], len(numbers)], strict=True))

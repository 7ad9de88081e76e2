"""At which frames of a tape the report looks, and which of them it shows."""

from __future__ import annotations

from collections.abc import Sequence

from ..timing import Span

# Enough for a curve; each takes about a tenth of a second.
LOOKS = 24
# Beyond this a sheet of scenes is no overview, and no small file.
MOST_THUMBNAILS = 120


def places(frames: int, count: int = LOOKS) -> list[int]:
    """At most `count` frames, evenly spread, never the very first and last of a tape that has others."""
    count = min(frames, count)
    return [(2 * number + 1) * frames // (2 * count) for number in range(count)]


def worth_showing(contrasts: Sequence[float | None], count: int) -> list[int]:
    """Which of some places to show: of each part of the tape the one with the most in its picture.

    `contrasts` has the places' in order, None where there is nothing to show.
    """
    count = min(count, len(contrasts))
    chosen = []
    for number in range(count):
        part = range(number * len(contrasts) // count, (number + 1) * len(contrasts) // count)
        there = [(contrast, -place) for place in part if (contrast := contrasts[place]) is not None]
        if there:
            chosen.append(-max(there)[1])
    return chosen


def scene_at(spans: Sequence[Span], frame: int) -> int:
    """Place of the scene that holds a frame."""
    return next(place for place, span in enumerate(spans) if span.start_frame <= frame < span.stop_frame)


def spread_over(spans: Sequence[Span], most: int = MOST_THUMBNAILS) -> list[int]:
    """Places of the scenes that get a thumbnail: all, or `most` of them evenly spread."""
    count = min(len(spans), most)
    return [(2 * number + 1) * len(spans) // (2 * count) for number in range(count)]

"""Film as a whole tape: decide by the rhythm of all its fields, and share its film frames among the scenes.

A tape with any stretch of video is not film: its rate stays, and film in its scenes is woven scene by scene.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal, get_args

import numpy as np

from tapemill.core.errors import ConfigError
from tapemill.core.timing import FrameRange
from tapemill.media import field_match
from tapemill.media.capture_info import Capture
from tapemill.media.film.cadence import FRAMES_PER_FRAME, PATTERN_OF, RATES_OF, Cadence, FilmFrame, FilmRate, SceneFilm
from tapemill.media.film.rhythm import FieldCombing

from .cadence_tracking import TrackedCadence, track_cadence
from .film_timeline import times_shown

LOG = logging.getLogger("tapemill.scenes")

FilmChoice = Literal["auto", "off", "24", "25"]
"""Column `film` of the sheet."""
InterlacedOrder = Literal["tff", "bff"]
# Of moving fields, the share that is expected to follow the pattern.
MIN_CONFIDENCE: Final = 0.9
# Fields that follow the pattern: their number, and their share of all fields, still ones included.
FEWEST_FIELDS, MIN_SHARE = 100, 0.25
# Moving fields in a row without the pattern: half a second.
LONGEST_VIDEO: Final = 30
# Video in the wrong field order has the rhythm of 2:2. Frames that show an order of their own are of video.
MAX_VIDEO_SHARE: Final = 0.1


@dataclass(frozen=True)
class FilmSearch:
    """What kind of film a capture is searched for."""

    rate: FilmRate
    orders: tuple[InterlacedOrder, ...]
    """Field orders that the capture may have."""
    is_demanded: bool
    """Whether the sheet demands it, so that it needs no evidence."""

    @classmethod
    def of(cls, capture: Capture, choice: FilmChoice, *, may_have_fields: bool) -> FilmSearch | None:
        """Return what to search for; None for a capture that cannot be film.

        Raises ConfigError if the sheet demands what the capture cannot have.
        """
        rates: tuple[FilmRate, ...] = get_args(FilmRate)
        rate = next((each for each in rates if capture.picture.rate in RATES_OF[each]), None)
        order = capture.picture.field_order
        orders: tuple[InterlacedOrder, ...] = ("tff", "bff") if order == "progressive" else (order,)
        if choice not in ("auto", "off") and (rate != choice or not may_have_fields):
            kind = "may be interlaced" if may_have_fields else "is progressive"
            raise ConfigError(
                f"this capture cannot be film of {choice} frames a second: it has {float(capture.picture.rate):.2f}"
                f" frames a second and {kind}",
                remedy="write auto or off into the column `film` of the sheet; 24 is for interlaced captures of 29.97"
                " frames a second, 25 for those of 25. If the capture is interlaced, set `field_order`",
            )
        # Without fields of its own, a progressive capture of 25 frames a second is as it should be.
        if choice == "off" or rate is None or not may_have_fields or (rate == "25" and order == "progressive"):
            return None
        return cls(rate, orders, is_demanded=choice != "auto")

    def measures(self) -> dict[InterlacedOrder, FieldCombing]:
        """Return what measures the fields of one recording, for each order."""
        return {order: FieldCombing(order) for order in self.orders}


@dataclass(frozen=True)
class MeasuredRecording:
    """Fields of one recording of a capture."""

    frames: int
    combing: dict[InterlacedOrder, FieldCombing]
    matches: str
    """Letters of `FieldMatcher`."""


@dataclass(frozen=True)
class TapeFilm:
    """Film that a tape is as a whole."""

    rate: FilmRate
    field_order: InterlacedOrder
    confidence: float | None
    recordings: tuple[tuple[FilmFrame, ...], ...]
    """Film frames of each recording."""

    def of_scenes(self, spans: Sequence[FrameRange]) -> list[SceneFilm]:
        """Return the film of each scene. `spans` cover the recordings in order."""
        starts = [0, *accumulate(sum(frame.fields for frame in each) // 2 for each in self.recordings)]
        found = []
        for span in spans:
            index = next(k for k, start in enumerate(starts) if start > span.start_frame) - 1
            inside = FrameRange(span.start_frame - starts[index], span.stop_frame - starts[index])
            cadence = _of_span(self.recordings[index], inside)
            # One frame of the next scene, where the last film frame may end.
            frames = min(span.stop_frame + 1, starts[index + 1]) - span.start_frame
            found.append(SceneFilm(self.rate, self.field_order, self.confidence, frames, str(cadence)))
        return found


def find_tape_film(search: FilmSearch | None, recordings: Sequence[MeasuredRecording]) -> TapeFilm | None:
    """Decide whether a tape is film. The decision is logged with its figures."""
    if search is None:
        return None
    tracked = {order: _track(search.rate, order, recordings) for order in search.orders}
    confidences = {order: _confidence(each) for order, each in tracked.items()}
    order = max(search.orders, key=lambda each: confidences[each])
    if not search.is_demanded and not _is_film(search.rate, tracked[order], recordings):
        return None
    film = _on_timeline(search, order, tracked[order], confidences[order])
    whole = Cadence(tuple(frame for each in film.recordings for frame in each))
    LOG.info(
        "this tape is film of %s frames a second (%s): %d film frames are shown, %d more of cut film are not, %d are"
        " shown twice",
        *(film.rate, "by the sheet" if search.is_demanded else f"confidence {confidences[order]:.3f}"),
        *(whole.shown - whole.repeated, whole.dropped, whole.repeated),
    )
    return film


def _track(
    rate: FilmRate, order: InterlacedOrder, recordings: Sequence[MeasuredRecording]
) -> tuple[TrackedCadence, ...]:
    return tuple(
        track_cadence(each.combing[order].near, each.combing[order].far, 2 * each.frames, PATTERN_OF[rate])
        for each in recordings
    )


def _confidence(tracked: Sequence[TrackedCadence]) -> float:
    """Return the expected share of moving fields that follow the pattern."""
    moving = sum(len(each.follows) for each in tracked)
    return (sum(int(each.follows.sum()) for each in tracked) + 1) / (moving + 2)


def _is_film(rate: FilmRate, tracked: Sequence[TrackedCadence], recordings: Sequence[MeasuredRecording]) -> bool:
    """Whether the evidence is enough, in every part of the tape."""
    follows = np.concatenate([each.follows for each in tracked])
    count, fields = int(follows.sum()), 2 * sum(each.frames for each in recordings)
    longest = int(np.diff(np.flatnonzero(np.concatenate([[True], follows, [True]]))).max()) - 1
    enough = (
        _confidence(tracked) >= MIN_CONFIDENCE
        and count >= max(FEWEST_FIELDS, MIN_SHARE * fields)
        and longest <= LONGEST_VIDEO
        and (rate != "25" or _video_share(recordings) <= MAX_VIDEO_SHARE)
    )
    if not enough:
        LOG.info(
            "this tape is not film as a whole and keeps its rate: of %d fields %d show movement, %d of them in the"
            " rhythm of film of %s frames a second, and up to %d in a row not",
            *(fields, len(follows), count, rate, longest),
        )
    return enough


def _video_share(recordings: Sequence[MeasuredRecording]) -> float:
    """Return the share of moving frames whose two fields are of two moments of video."""
    letters = "".join(each.matches for each in recordings)
    video = sum(letters.count(letter) for letter in (field_match.TOP_FIRST, field_match.BOTTOM_FIRST))
    return video / max(1, len(letters) - letters.count(field_match.STILL))


def _on_timeline(
    search: FilmSearch, order: InterlacedOrder, tracked: Sequence[TrackedCadence], confidence: float
) -> TapeFilm:
    shown = times_shown([fields for each in tracked for fields in each.fields], 2 / FRAMES_PER_FRAME[search.rate])
    recordings, first = [], 0
    for each in tracked:
        recordings.append(tuple(map(FilmFrame, each.fields, shown[first : first + len(each.fields)])))
        first += len(each.fields)
    return TapeFilm(search.rate, order, None if search.is_demanded else round(confidence, 3), tuple(recordings))


def _of_span(frames: Sequence[FilmFrame], span: FrameRange) -> Cadence:
    """Return the film frames of a scene: those whose first field is in it, after what the scene before shows."""
    first, stop = 2 * span.start_frame, 2 * span.stop_frame
    found, field = [], 0
    for frame in frames:
        end = field + frame.fields
        if field < first < end:
            found.append(FilmFrame(min(end, stop) - first, 0, is_of_scene_before=True))
        elif first <= field < stop:
            found.append(frame)
        field = end
    return Cadence(tuple(found))

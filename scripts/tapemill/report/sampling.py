"""A look at some places of a tape, and at the same places of its capture: stills, measures, a thumbnail of each scene.

All that the pages show of pictures is in one record, so that drawing them anew opens no medium.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np

from tapemill.core.errors import InputError
from tapemill.core.timing import FrameRange, evenly_spaced, format_fraction, round_half_up
from tapemill.enhance import OutputFormat
from tapemill.enhance.output_format import source_colour
from tapemill.media.capture_info import SourceFileInfo, VideoInfo
from tapemill.media.colour import Colour
from tapemill.storage import atomic, job_records, untrusted_text

from . import quality_metrics
from .frames import CaptureReader, TapeReader, grey

LOG = logging.getLogger("tapemill.report")

# Of the stills in a page. Larger tapes are scaled down, so that a page stays a few 100 kB.
WIDEST_STILL: Final = 768
STILL_QUALITY: Final = 70
THUMBNAIL_WIDTH: Final = 160
THUMBNAIL_QUALITY: Final = 60
MAKE_ANEW = "delete it, and the workflow makes it anew"


@dataclass(frozen=True)
class SampledTape:
    """What is known of the tape."""

    sources: Sequence[Path]
    """The file or files of the capture."""
    takes: Sequence[SourceFileInfo]
    picture: VideoInfo
    rotation_deg: int
    output: OutputFormat
    scenes: Sequence[str]
    """Their names, in order."""
    spans: Sequence[FrameRange]
    """The scenes as frames of the capture."""

    @property
    def source_colour(self) -> Colour:
        """The capture's, with nothing left unknown."""
        return source_colour(self.picture)


def sample_report_frames(*, tape: Path, facts: SampledTape, stills: int, target: Path) -> None:
    """Write what the pages show of a tape's pictures (JSON, images as WebP in base64).

    The scenes' records beside the tape say how fields and crop were. `stills` places are shown, more are measured. What
    cannot be decoded is left out. Raises InputError if the tape or the capture cannot be opened.
    """
    with ExitStack() as stack:
        finished = stack.enter_context(TapeReader(tape, facts.output.rate, facts.output.colour))
        looker = _Looker(finished, facts, tape.parent / "enhanced", stack)
        looks = [looker.look(frame) for frame in evenly_spaced(range(facts.spans[-1].stop_frame), SAMPLE_COUNT)]
        shown = select_stills([look.contrast for look in looks], stills)
        thumbnails = dict(_thumbnails(finished, facts))
    values = {
        "rate": format_fraction(facts.picture.rate),
        "scenes": [
            {"scene": name, "start_frame": span.start_frame, "stop_frame": span.stop_frame}
            for name, span in zip(facts.scenes, facts.spans, strict=True)
        ],
        "looks": [look.to_plain(is_shown=place in shown) for place, look in enumerate(looks)],
        "thumbnails": thumbnails,
    }
    atomic.write_json(target, values)


def read_sample(path: Path) -> dict[str, Any]:
    """What `sample_report_frames` wrote."""
    return untrusted_text.read_json(path, error=InputError, remedy=MAKE_ANEW)


@dataclass(frozen=True)
class _Look:
    """One place: the picture of the capture and that of the tape, before and after."""

    frame: int
    scene: str
    stills: tuple[np.ndarray, np.ndarray] | None = None
    """As a page shows them; None if one of the two cannot be decoded."""
    measures: dict[str, list[float]] | None = None

    @property
    def contrast(self) -> float | None:
        """How much there is in the picture."""
        return None if self.stills is None else float(self.stills[1].std())

    def to_plain(self, *, is_shown: bool) -> dict[str, Any]:
        """As JSON values."""
        plain: dict[str, Any] = {"frame": self.frame, "scene": self.scene, "measures": self.measures}
        if is_shown and self.stills is not None:
            plain["stills"] = [_webp(still, STILL_QUALITY) for still in self.stills]
        return plain


class _Looker:
    """Looks at places of the tape and the capture; keeps the files of the capture open."""

    def __init__(self, tape: TapeReader, facts: SampledTape, records: Path, stack: ExitStack) -> None:
        self._tape, self._facts, self._records, self._stack = tape, facts, records, stack
        self._open: tuple[int, CaptureReader] | None = None

    def look(self, frame: int) -> _Look:
        """Look at a frame of the capture, and at the first picture of the tape that was made of it."""
        name = self._facts.scenes[scene_index(self._facts.spans, frame)]
        output = self._facts.output
        after = self._tape.picture(frame * output.frames_per_frame)
        frames = file = None
        if after is not None:
            after = after[: output.restored_height, : output.restored_width]
            file, number = self._file(frame)
            frames = file.frame(number)
        if after is None or file is None or frames is None:
            LOG.warning("frame %d cannot be decoded and is left out", frame)
            return _Look(frame, name)
        record = job_records.read(self._records / f"{name}.json")
        crop = record.get("crop")
        order = record.get("field_order", self._facts.picture.field_order)
        plain = _cropped(file.deinterlaced(frames, order), crop)
        before = _resized(plain, after.shape[1], after.shape[0])
        woven = _cropped(file.upright(grey(frames[1])), crop)
        top = (crop or {}).get("top", 0)
        first_line = (int(order == "bff") + top) % 2
        found = _measures(plain, before, after, woven, first_line=first_line)
        return _Look(frame, name, (_fitted(before), _fitted(after)), found)

    def _file(self, frame: int) -> tuple[CaptureReader, int]:
        """The file of the capture that holds a frame, and the frame's number in it."""
        ends = list(accumulate(take.frames for take in self._facts.takes))
        place = next(place for place, end in enumerate(ends) if frame < end)
        take = self._facts.takes[place]
        if self._open is None or self._open[0] != place:
            facts = self._facts
            opened = CaptureReader(facts.sources[place], take, facts.source_colour, facts.rotation_deg)
            self._open = place, self._stack.enter_context(opened)
        return self._open[1], frame - (ends[place] - take.frames)


def _measures(
    plain: np.ndarray, before: np.ndarray, after: np.ndarray, woven: np.ndarray, *, first_line: int
) -> dict[str, list[float]] | None:
    """Each measure before and after; None for pictures that are too small.

    `plain` is the deinterlaced picture of the capture, `before` the same in the size of `after`, that of the tape, and
    `woven` the brightness of both fields. `first_line` is 0 or 1: lines that the capture really has are every other one
    from there. A tape that was enlarged is measured at the capture's number of lines.
    """
    import cv2

    if min(*plain.shape[:2], *after.shape[:2]) < quality_metrics.SMALLEST_SIDE:
        return None
    shown = _at_lines(after, plain.shape[0])
    channels = [cv2.split(cv2.cvtColor(each, cv2.COLOR_BGR2YCrCb)) for each in (plain, shown)]
    noise = [[quality_metrics.noise_levels(channel[first_line::2]) for channel in each] for each in channels]
    same_size = [cv2.cvtColor(_at_lines(each, plain.shape[0]), cv2.COLOR_BGR2GRAY) for each in (before, after)]
    found = {
        "noise_levels": [luma for luma, _, _ in noise],
        "colour_noise_levels": [(red + blue) / 2 for _, red, blue in noise],
        "blur": [quality_metrics.blur(each) for each in same_size],
        # Of the capture as it is: deinterlaced it has no combs.
        "comb_ratio": [quality_metrics.comb_ratio(each) for each in (woven, channels[1][0])],
    }
    return {name: [round(value, 4) for value in values] for name, values in found.items()}


def _thumbnails(tape: TapeReader, facts: SampledTape) -> Iterator[tuple[str, str]]:
    factor = facts.output.frames_per_frame
    for place in evenly_spaced(range(len(facts.spans)), MOST_THUMBNAILS):
        span = facts.spans[place]
        picture = tape.glimpse(span.start_frame * factor, span.stop_frame * factor)
        if picture is not None:
            height = max(1, round_half_up(Fraction(picture.shape[0] * THUMBNAIL_WIDTH, picture.shape[1])))
            yield facts.scenes[place], _webp(_resized(picture, THUMBNAIL_WIDTH, height), THUMBNAIL_QUALITY)


def _cropped(picture: np.ndarray, crop: Mapping[str, int] | None) -> np.ndarray:
    if not crop:
        return picture
    top, left = crop["top"], crop["left"]
    return np.ascontiguousarray(picture[top : top + crop["height"], left : left + crop["width"]])


def _fitted(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if width <= WIDEST_STILL:
        return picture
    return _resized(picture, WIDEST_STILL, max(1, round_half_up(Fraction(height * WIDEST_STILL, width))))


def _at_lines(picture: np.ndarray, lines: int) -> np.ndarray:
    """A picture that was enlarged, brought back to so many lines; others stay as they are."""
    height, width = picture.shape[:2]
    if height <= lines:
        return picture
    return _resized(picture, max(1, round_half_up(Fraction(width * lines, height))), lines)


def _resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    import cv2

    return cv2.resize(picture, (width, height), interpolation=_interpolation(picture, height))


def _interpolation(picture: np.ndarray, height: int) -> int:
    import cv2

    return int(cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_LANCZOS4)


def _webp(picture: np.ndarray, quality: int) -> str:
    import cv2

    _, data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return base64.b64encode(data.tobytes()).decode("ascii")


# Enough for a curve; each takes about a tenth of a second.
SAMPLE_COUNT = 24
# Beyond this a sheet of scenes is no overview, and no small file.
MOST_THUMBNAILS = 120


def select_stills(contrasts: Sequence[float | None], count: int) -> list[int]:
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


def scene_index(spans: Sequence[FrameRange], frame: int) -> int:
    """Place of the scene that holds a frame."""
    return next(place for place, span in enumerate(spans) if span.start_frame <= frame < span.stop_frame)

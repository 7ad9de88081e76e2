"""Film in interlaced video: find the fields of each film frame, so that they are woven instead of deinterlaced.

Film of 25 frames a second has two fields a frame on a PAL tape; these may belong to two frames of the video. Film of 24
frames a second has three and two in turn on an NTSC tape (3:2 pulldown). A field is woven with the one after it or with
the one before it, whichever is of the same film frame, and shown in its own time: nothing is lost, and the rate of the
tape holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av.error
import numpy as np

from tapemill.core.errors import ToolFailed
from tapemill.media.ffmpeg.command import sum_expression
from tapemill.media.field_match import STILL_LEVELS, STILL_SHARE, StripReader, combing
from tapemill.media.probe import open_media
from tapemill.records.clip import FilmRecord

from .field_order import REMEDY

Pattern = Literal["2:2", "3:2"]
# Whether two successive fields are of different film frames.
PATTERNS: Final[dict[Pattern, tuple[bool, ...]]] = {"2:2": (False, True), "3:2": (False, False, True, False, True)}
# Fields that are compared with a pattern at once: two periods of the longer one.
WINDOW: Final = 10
MAX_MISMATCHES: Final = 1
# Fields of different film frames comb more than their neighbours do, by at least this share of what fields three apart
# comb more than the least. Of video, successive fields comb evenly, by a third of that.
CROSSING: Final = 0.2
# A woven frame may comb by this share of it more than the least.
FITTING: Final = 0.35
# A scene is film if it is expected of at least this share of its moving fields, and shown by so many.
MIN_CONFIDENCE, FEWEST_FIELDS = 0.9, 25


@dataclass(frozen=True)
class Film:
    """Film in a scene."""

    pattern: Pattern
    confidence: float
    """Expected share of moving fields that follow a pattern of film."""
    with_previous: tuple[bool, ...]
    """For each field whether it is woven with the one before it; otherwise with the one after it."""
    single: tuple[bool, ...]
    """For each field whether it is of no film frame with a neighbour, so that it is deinterlaced."""

    @property
    def record(self) -> FilmRecord:
        """Entry of the clip's record."""
        return FilmRecord(self.pattern, round(self.confidence, 3), len(self.single), sum(self.single))


def detect_film(clip: Path, *, field_order: Literal["tff", "bff"]) -> Film | None:
    """Find the film frames of a scene; None if it is not film. Raises ToolFailed if it cannot be decoded."""
    try:
        near, far = _combing_of_fields(_strips(clip), field_order)
    except (av.error.FFmpegError, OSError) as error:
        raise ToolFailed(
            f"the cut scene could not be decoded: {error}", file=clip, tool="PyAV", remedy=REMEDY
        ) from error
    return find_film(np.array(near), np.array(far))


def find_film(near: np.ndarray, far: np.ndarray) -> Film | None:
    """Find film by the combing of fields.

    `near[j]` is that of field j woven with the next one, shape = (fields - 1,), `far[j]` that with the third after it,
    shape = (fields - 3,).
    """
    if len(near) < WINDOW:
        return None
    windows = _windows(near, far)
    verdicts = [_verdict(near, start, window) for start, window in enumerate(windows)]
    counts = {pattern: sum(verdict == pattern for verdict in verdicts) for pattern in PATTERNS}
    pattern = max(PATTERNS, key=lambda each: counts[each])
    moving = sum(verdict is not None for verdict in verdicts)
    confidence = (sum(counts.values()) + 1) / (moving + 2)
    if counts[pattern] < FEWEST_FIELDS or confidence < MIN_CONFIDENCE:
        return None
    with_previous, single = _weave(near, windows, verdicts, len(PATTERNS[pattern]))
    return Film(pattern, confidence, tuple(with_previous), tuple(single))


@dataclass(frozen=True)
class _Window:
    """Combing around some fields."""

    least: float
    apart: float
    """Of fields that are three apart; the median, because of cuts."""

    @property
    def margin(self) -> float:
        """Difference that is noise."""
        return STILL_SHARE * self.least + STILL_LEVELS


def _windows(near: np.ndarray, far: np.ndarray) -> list[_Window]:
    """The window that starts at each field."""
    starts = range(len(near) - WINDOW + 1)
    return [
        _Window(float(near[start : start + WINDOW].min()), float(np.median(far[start : start + WINDOW])))
        for start in starts
    ]


def _verdict(near: np.ndarray, start: int, window: _Window) -> Pattern | Literal["video"] | None:
    """Return the pattern of a window, or that it is video; None if nothing moves."""
    if window.apart - window.least < window.margin:
        return None
    padded = np.pad(near, 1, constant_values=0)[start : start + WINDOW + 2]
    peaks = padded[1:-1] - np.maximum(padded[:-2], padded[2:])
    crossing = peaks > CROSSING * (window.apart - window.least)
    for pattern, cycle in PATTERNS.items():
        repeated = np.array(cycle * (WINDOW // len(cycle) + 1))
        for phase in range(len(cycle)):
            if np.count_nonzero(crossing != repeated[phase : phase + WINDOW]) <= MAX_MISMATCHES:
                return pattern
    return "video"


def _weave(
    near: np.ndarray, windows: Sequence[_Window], verdicts: Sequence[Pattern | Literal["video"] | None], period: int
) -> tuple[list[bool], list[bool]]:
    """Return for each field whether it is woven with the one before it, and whether with none."""
    fields = len(near) + 1
    with_previous: list[bool] = []
    single: list[bool] = []
    for field in range(fields):
        before = near[field - 1] if field else np.inf
        after = near[field] if field < fields - 1 else np.inf
        start = min(max(field - WINDOW // 2, 0), len(near) - WINDOW)
        window = windows[start]
        # Where both fit the rhythm goes on.
        is_tie = abs(before - after) < window.margin and field >= period
        with_previous.append(with_previous[field - period] if is_tie else bool(before < after))
        most = window.least + max(FITTING * (window.apart - window.least), window.margin)
        single.append(verdicts[start] == "video" or bool(min(before, after) > most))
    return with_previous, single


def _strips(clip: Path) -> Iterator[np.ndarray]:
    reader = StripReader()
    with open_media(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        for frame in container.decode(stream):
            yield reader.strip(frame)


def _combing_of_fields(strips: Iterator[np.ndarray], field_order: str) -> tuple[list[float], list[float]]:
    """Return the combing of each field woven with the next one, and with the third after it."""
    fields: list[np.ndarray] = []
    near: list[float] = []
    far: list[float] = []
    first = 0 if field_order == "tff" else 1
    for strip in strips:
        for parity in (first, 1 - first):
            fields.append(strip[parity::2].astype(np.int16))
            is_top = parity == 0
            for distance, found in ((1, near), (3, far)):
                if len(fields) > distance:
                    other = fields[-1 - distance]
                    found.append(combing(fields[-1], other) if is_top else combing(other, fields[-1]))
            del fields[:-4]
    return near, far


def weave_filters(film: Film, *, rate: Fraction, deinterlacer: str, every_field: bool) -> str:
    """Return the ffmpeg filters that weave film frames: one frame for each field, or for each first field of a frame.

    They take marked interlaced frames at `rate`. `deinterlacer` makes a frame of each field.
    """
    fields = 2 * rate
    numbered = f"settb=expr={fields.denominator}/{fields.numerator},setpts=expr=N"
    period = len(PATTERNS[film.pattern])
    choose = "blend=all_mode=normal:all_opacity=0:shortest=1:enable="
    # Each field with the one after it. The filter leaves out the last frame, so that one more is needed.
    weave = f"split[fields][bob];[fields]tpad=stop=1:stop_mode=clone,tinterlace=mode=interlacex2,{numbered}"
    weave += f",split[next][late];[late]tpad=start=1:start_mode=clone,{numbered}[previous]"
    weave += f";[next][previous]{choose}'{_enabled(film.with_previous, period, fields)}'"
    if any(film.single):
        weave += f"[woven];[bob]{deinterlacer},{numbered}[single];[woven][single]{choose}"
        weave += f"'{_enabled(film.single, period, fields)}'"
    else:
        weave += "[woven];[bob]nullsink;[woven]null"
    return weave + ",setfield=mode=prog" + ("" if every_field else ",framestep=step=2")


def _enabled(flags: Sequence[bool], period: int, rate: Fraction) -> str:
    """Return the expression that is true at the times of set flags: parts in which they repeat, one term each."""
    terms = []
    start = 0
    while start < len(flags):
        stop = start + min(period, len(flags) - start)
        while stop < len(flags) and flags[stop] == flags[stop - period]:
            stop += 1
        mask = sum(1 << index for index, flag in enumerate(flags[start : min(start + period, stop)]) if flag)
        if mask:
            terms.append(f"between(ld(0),{start},{stop - 1})*bitand({mask},pow(2,mod(ld(0)-{start},{period})))")
        start = stop
    return f"0*st(0,floor(t*{rate}+0.5))+{sum_expression(terms)}"

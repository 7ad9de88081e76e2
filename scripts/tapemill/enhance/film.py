"""Film in interlaced video: find the fields of each film frame, so that they are woven instead of deinterlaced.

A field is woven with the one after it or with the one before it, whichever is of the same film frame. On a tape that is
not film as a whole each field is shown in its own time: nothing is lost, and the rate of the tape holds. On a tape that
is film each film frame is shown once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import av.error
import numpy as np

from tapemill.core.errors import ToolFailed
from tapemill.media.ffmpeg.command import sum_expression
from tapemill.media.field_match import StripReader
from tapemill.media.film.cadence import PATTERN_OF, Cadence, Pattern, SceneFilm
from tapemill.media.film.rhythm import PATTERNS, STILL, VIDEO, WINDOW, FieldCombing, Rhythm
from tapemill.media.probe import open_media
from tapemill.records.clip import FilmRecord

from .field_order import REMEDY

# A woven frame may comb by this share of it more than the least.
FITTING: Final = 0.35
# A scene is film if it is expected of at least this share of its moving fields, and shown by so many.
MIN_CONFIDENCE, FEWEST_FIELDS = 0.9, 25


@dataclass(frozen=True)
class Film:
    """Film in a scene."""

    pattern: Pattern
    confidence: float | None
    """Expected share of moving fields that follow a pattern of film; None if the sheet demands film."""
    with_previous: tuple[bool, ...]
    """For each field whether it is woven with the one before it; otherwise with the one after it."""
    single: tuple[bool, ...]
    """For each field whether it is of no film frame with a neighbour, so that it is deinterlaced."""
    cadence: Cadence | None = None
    """Of a tape that is film as a whole."""

    @classmethod
    def of_tape(cls, film: SceneFilm) -> Film:
        """Return the film of a scene of a tape that is film as a whole."""
        cadence, fields = film.parsed, 2 * film.cut_frames
        with_previous, single = [False] * fields, [False] * fields
        for start, frame in cadence.starts():
            last = min(start + frame.fields, fields) - 1
            with_previous[last], single[last] = start < last, start == last
        # The rest of the last frame is of the next scene.
        with_previous[-1] = with_previous[-1] or not single[-1]
        pattern = PATTERN_OF[film.rate]
        return cls(pattern, film.confidence, tuple(with_previous), tuple(single), cadence)

    @cached_property
    def shown_fields(self) -> tuple[bool, ...] | None:
        """For each field whether a frame of the clip is made of it; None if all are."""
        if self.cadence is None:
            return None
        shown = set(self.cadence.shown_fields())
        return tuple(field in shown for field in range(len(self.single)))

    @property
    def record(self) -> FilmRecord:
        """Entry of the clip's record."""
        shown = self.shown_fields or (True,) * len(self.single)
        cadence = self.cadence
        return FilmRecord(
            pattern=self.pattern,
            confidence=None if self.confidence is None else round(self.confidence, 3),
            fields=len(self.single),
            deinterlaced=sum(a and b for a, b in zip(self.single, shown, strict=True)),
            is_whole_tape=cadence is not None,
            dropped=cadence.dropped if cadence else 0,
            repeated=cadence.repeated if cadence else 0,
        )


def detect_film(clip: Path, *, field_order: Literal["tff", "bff"]) -> Film | None:
    """Find the film frames of a scene; None if it is not film. Raises ToolFailed if it cannot be decoded."""
    combing = FieldCombing(field_order)
    try:
        for strip in _strips(clip):
            combing.add(strip)
    except (av.error.FFmpegError, OSError) as error:
        raise ToolFailed(
            f"the cut scene could not be decoded: {error}", file=clip, tool="PyAV", remedy=REMEDY
        ) from error
    return find_film(Rhythm(combing.near, combing.far))


def find_film(rhythm: Rhythm) -> Film | None:
    """Find film by the combing of fields."""
    if len(rhythm.near) < WINDOW:
        return None
    verdicts = rhythm.verdicts()
    counts: dict[Pattern, int] = {pattern: int(np.count_nonzero(verdicts == pattern)) for pattern in PATTERNS}
    pattern = max(counts, key=lambda each: counts[each])
    moving = int(np.count_nonzero(verdicts != STILL))
    confidence = (sum(counts.values()) + 1) / (moving + 2)
    if counts[pattern] < FEWEST_FIELDS or confidence < MIN_CONFIDENCE:
        return None
    with_previous, single = _weave(rhythm, verdicts, len(PATTERNS[pattern]))
    return Film(pattern, confidence, tuple(with_previous), tuple(single))


def _weave(rhythm: Rhythm, verdicts: np.ndarray, period: int) -> tuple[list[bool], list[bool]]:
    """Return for each field whether it is woven with the one before it, and whether with none."""
    near, least, apart, margin = rhythm.near, rhythm.least, rhythm.apart, rhythm.margin
    fields = len(near) + 1
    with_previous: list[bool] = []
    single: list[bool] = []
    for field in range(fields):
        before = near[field - 1] if field else np.inf
        after = near[field] if field < fields - 1 else np.inf
        start = min(max(field - WINDOW // 2, 0), len(near) - WINDOW)
        # Where both fit the rhythm goes on.
        is_tie = abs(before - after) < margin[start] and field >= period
        with_previous.append(with_previous[field - period] if is_tie else bool(before < after))
        most = least[start] + max(FITTING * (apart[start] - least[start]), margin[start])
        single.append(bool(verdicts[start] == VIDEO) or bool(min(before, after) > most))
    return with_previous, single


def _strips(clip: Path) -> Iterator[np.ndarray]:
    reader = StripReader()
    with open_media(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        for frame in container.decode(stream):
            yield reader.strip(frame)


def weave_filters(film: Film, *, rate: Fraction, deinterlacer: str, every_field: bool) -> str:
    """Return the ffmpeg filters that weave film frames: one frame for each field, or for each first field of a frame.

    On a tape that is film as a whole they return the frames that are shown, at the rate of film. They take marked
    interlaced frames at `rate`. `deinterlacer` makes a frame of each field.
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
    if film.shown_fields is not None:
        shown = rate * Fraction(2 * sum(PATTERNS[film.pattern]), period)
        numbered = f"settb=expr={shown.denominator}/{shown.numerator},setpts=expr=N"
        # Encoders count time in units of the rate of the filters, which only `fps` changes.
        chosen = f"select='{_enabled(film.shown_fields, period, fields)}',{numbered},fps=fps={shown}:start_time=0"
        return f"{weave},{chosen},setfield=mode=prog"
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

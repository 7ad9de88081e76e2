"""Samples of a tape and of its capture at the same frames: stills, quality metrics, a thumbnail of each scene.

All images of the pages are in one record, so that rendering the pages again opens no media.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from tapemill.core.errors import InputError
from tapemill.core.timing import FrameRange, evenly_spaced, format_fraction, round_half_up
from tapemill.enhance import OutputFormat
from tapemill.enhance.output_format import source_colour
from tapemill.media.capture_info import SourceFileInfo, VideoInfo
from tapemill.media.colour import Colour
from tapemill.media.film.cadence import Cadence, SceneFilm
from tapemill.records import job_records
from tapemill.records.clip import ClipRecord
from tapemill.storage import atomic, untrusted_text

from . import quality_metrics
from .frames import CaptureReader, TapeReader, cropped, grey

LOG = logging.getLogger("tapemill.report")

# Of the stills of a page. Larger ones are scaled down, so that a page stays a few 100 kB.
WIDEST_STILL: Final = 768
STILL_QUALITY: Final = 70
THUMBNAIL_WIDTH: Final = 160
THUMBNAIL_QUALITY: Final = 60
REMEDY = "delete it, and the workflow makes it again"
# Enough for a curve; each takes about a tenth of a second.
SAMPLE_COUNT = 24
# More would make no overview, and no small file.
MAX_THUMBNAILS = 120


@dataclass(frozen=True)
class SampledTape:
    """Sources and properties of a tape to sample."""

    sources: Sequence[Path]
    """Source files of the capture, in order."""
    takes: Sequence[SourceFileInfo]
    picture: VideoInfo
    rotation_deg: int
    output: OutputFormat
    scenes: Sequence[str]
    """Their names, in order."""
    spans: Sequence[FrameRange]
    """The scenes as frame ranges of the capture."""
    films: Sequence[SceneFilm] = ()
    """Film of each scene, if the tape is made as film."""

    @cached_property
    def tape_spans(self) -> Sequence[FrameRange]:
        """The scenes as frame ranges of the tape."""
        factor = self.output.frames_per_frame
        if not self.films:
            return [FrameRange(factor * span.start_frame, factor * span.stop_frame) for span in self.spans]
        stops = list(accumulate(cadence.shown for cadence in self._cadences))
        return [FrameRange(*pair) for pair in pairwise([0, *stops])]

    def tape_frame(self, frame: int) -> int:
        """Return the first frame of the tape that was made of a frame of the capture."""
        if not self.films:
            return frame * self.output.frames_per_frame
        scene = scene_index(self.spans, frame)
        first_field = 2 * (frame - self.spans[scene].start_frame)
        return max(0, self.tape_spans[scene].start_frame + self._cadences[scene].frame_at(first_field))

    @cached_property
    def _cadences(self) -> Sequence[Cadence]:
        return [film.parsed for film in self.films]

    @property
    def source_colour(self) -> Colour:
        """Colour of the capture, with nothing left unknown."""
        return source_colour(self.picture)


def sample_report_frames(*, tape: Path, facts: SampledTape, stills: int, target: Path) -> None:
    """Write the images and metrics of the pages of a tape (JSON, images as WebP in base64).

    Field order and crop are read from the scenes' records beside the tape. `stills` frames are shown, more are
    measured. Frames that cannot be decoded are omitted. Raises InputError if the tape or the capture cannot be opened.
    """
    with ExitStack() as stack:
        finished = stack.enter_context(TapeReader(tape, facts.output.rate, facts.output.colour))
        sampler = _Sampler(finished, facts, tape.parent / "enhanced", stack)
        samples = [sampler.sample(frame) for frame in evenly_spaced(range(facts.spans[-1].stop_frame), SAMPLE_COUNT)]
        shown = select_stills([sample.contrast for sample in samples], stills)
        thumbnails = dict(_thumbnails(finished, facts))
    values = {
        "rate": format_fraction(facts.picture.rate),
        "scenes": [
            {"scene": name, "start_frame": span.start_frame, "stop_frame": span.stop_frame}
            for name, span in zip(facts.scenes, facts.spans, strict=True)
        ],
        "looks": [sample.to_plain(is_shown=index in shown) for index, sample in enumerate(samples)],
        "thumbnails": thumbnails,
    }
    atomic.write_json(target, values)


def read_sample(path: Path) -> dict[str, Any]:
    """Read the file that `sample_report_frames` wrote."""
    return untrusted_text.read_json(path, error=InputError, remedy=REMEDY)


@dataclass(frozen=True)
class _Sample:
    """Images and metrics of one frame, of the capture and of the tape (before, after)."""

    frame: int
    scene: str
    stills: tuple[np.ndarray, np.ndarray] | None = None
    """At page size, BGR; None if one of the two cannot be decoded."""
    measures: dict[str, list[float]] | None = None

    @property
    def contrast(self) -> float | None:
        """Standard deviation of the tape's image."""
        return None if self.stills is None else float(self.stills[1].std())

    def to_plain(self, *, is_shown: bool) -> dict[str, Any]:
        """As JSON values."""
        plain: dict[str, Any] = {"frame": self.frame, "scene": self.scene, "measures": self.measures}
        if is_shown and self.stills is not None:
            plain["stills"] = [_webp(still, STILL_QUALITY) for still in self.stills]
        return plain


class _Sampler:
    """Sampler of frames of tape and capture; keeps the current source file open."""

    def __init__(self, tape: TapeReader, facts: SampledTape, records: Path, stack: ExitStack) -> None:
        self._tape, self._facts, self._records, self._stack = tape, facts, records, stack
        self._open: tuple[int, CaptureReader] | None = None

    def sample(self, frame: int) -> _Sample:
        """Sample a frame of the capture, and the first frame of the tape that was made of it."""
        name = self._facts.scenes[scene_index(self._facts.spans, frame)]
        output = self._facts.output
        after = self._tape.frame(self._facts.tape_frame(frame))
        frames = file = None
        if after is not None:
            after = after[: output.restored_height, : output.restored_width]
            file, number = self._file(frame)
            frames = file.frame(number)
        if after is None or file is None or frames is None:
            LOG.warning("frame %d cannot be decoded and is omitted", frame)
            return _Sample(frame, name)
        record = job_records.read(ClipRecord, self._records / f"{name}.json")
        crop = record.crop if record else None
        order = record.field_order if record else self._facts.picture.field_order
        plain = cropped(file.deinterlaced(frames, order), crop)
        before = _resized(plain, after.shape[1], after.shape[0])
        interlaced = cropped(file.upright(grey(frames[1])), crop)
        top = crop.top if crop else 0
        first_line = (int(order == "bff") + top) % 2
        found = _measures(plain, before, after, interlaced, first_line=first_line)
        return _Sample(frame, name, (_at_page_size(before), _at_page_size(after)), found)

    def _file(self, frame: int) -> tuple[CaptureReader, int]:
        """The source file that holds a frame, and the frame's index in it."""
        ends = list(accumulate(take.frames for take in self._facts.takes))
        index = next(index for index, end in enumerate(ends) if frame < end)
        take = self._facts.takes[index]
        if self._open is None or self._open[0] != index:
            facts = self._facts
            source = take.located(facts.sources[index if len(facts.sources) > 1 else 0])
            opened = CaptureReader(source, take, facts.source_colour, facts.rotation_deg, facts.picture.cut_out)
            self._open = index, self._stack.enter_context(opened)
        return self._open[1], frame - (ends[index] - take.frames)


def _measures(
    plain: np.ndarray, before: np.ndarray, after: np.ndarray, interlaced: np.ndarray, *, first_line: int
) -> dict[str, list[float]] | None:
    """Each quality metric before and after; None for images that are too small.

    `plain` is the deinterlaced frame of the capture, `before` the same in the size of `after`, that of the tape, and
    `interlaced` the luma of both fields. `first_line` is 0 or 1: every other line from there is of the capture, the
    rest is interpolated. A tape that was enlarged is measured at the capture's number of lines.
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
        # Of the capture as it is: deinterlaced it has no combing.
        "comb_ratio": [quality_metrics.comb_ratio(each) for each in (interlaced, channels[1][0])],
    }
    return {name: [round(value, 4) for value in values] for name, values in found.items()}


def _thumbnails(tape: TapeReader, facts: SampledTape) -> Iterator[tuple[str, str]]:
    for index in evenly_spaced(range(len(facts.spans)), MAX_THUMBNAILS):
        span = facts.tape_spans[index]
        image = tape.thumbnail_frame(span.start_frame, span.stop_frame)
        if image is not None:
            height = max(1, round_half_up(Fraction(image.shape[0] * THUMBNAIL_WIDTH, image.shape[1])))
            yield facts.scenes[index], _webp(_resized(image, THUMBNAIL_WIDTH, height), THUMBNAIL_QUALITY)


def _at_page_size(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if width <= WIDEST_STILL:
        return image
    return _resized(image, WIDEST_STILL, max(1, round_half_up(Fraction(height * WIDEST_STILL, width))))


def _at_lines(image: np.ndarray, lines: int) -> np.ndarray:
    """Scale an image down to a number of lines; one with fewer lines stays as it is."""
    height, width = image.shape[:2]
    if height <= lines:
        return image
    return _resized(image, max(1, round_half_up(Fraction(width * lines, height))), lines)


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    import cv2

    return cv2.resize(image, (width, height), interpolation=_interpolation(image, height))


def _interpolation(image: np.ndarray, height: int) -> int:
    import cv2

    return int(cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LANCZOS4)


def _webp(image: np.ndarray, quality: int) -> str:
    import cv2

    _, data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return base64.b64encode(data.tobytes()).decode("ascii")


def select_stills(contrasts: Sequence[float | None], count: int) -> list[int]:
    """Select samples to show as stills: of each part of the tape the one with the highest contrast.

    `contrasts` are those of the samples in order, None for one that cannot be shown. Returns indices.
    """
    count = min(count, len(contrasts))
    chosen = []
    for number in range(count):
        part = range(number * len(contrasts) // count, (number + 1) * len(contrasts) // count)
        usable = [(contrast, -index) for index in part if (contrast := contrasts[index]) is not None]
        if usable:
            chosen.append(-max(usable)[1])
    return chosen


def scene_index(spans: Sequence[FrameRange], frame: int) -> int:
    """Index of the scene that holds a frame."""
    return next(index for index, span in enumerate(spans) if span.start_frame <= frame < span.stop_frame)

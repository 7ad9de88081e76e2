"""Scene detection: cuts and fades by PySceneDetect's detectors, in one pass over the video.

One ffmpeg process converts the capture to its constant-rate grid and scales it down; memory use is constant.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from tapemill.core.errors import InputError
from tapemill.core.progress import Progress, report
from tapemill.core.timing import FrameRange
from tapemill.media import audio_samples
from tapemill.media.capture_info import Capture, SourceFileInfo, VideoInfo
from tapemill.media.field_match import STRIP_WIDTH, FieldMatcher
from tapemill.media.film.rhythm import FieldCombing

from .field_order_changes import find_order_changes
from .film_tape import FilmChoice, FilmSearch, InterlacedOrder, MeasuredRecording, find_tape_film
from .scaled_frames import scaled_frames
from .segmentation import merge_short_split_long
from .settings import ScenesSettings
from .table import make_scenes, write_csv, write_edl, write_scenes

LOG = logging.getLogger("tapemill.scenes")

# Share of pixels that must be black, in percent: a frame with a few dropouts is still black.
BLACK_PERCENTILE = 98
NEIGHBOURS = 2  # frames before and after that a cut is compared with
# An image has returned if it differs from the one before by less than this part of the jump. Measured: real cuts
# 0.88 to 1.0, a shaken camera up to 0.63, flashes and dropouts up to 0.15.
RETURN_SHARE = 0.75
PAUSE_S = 0.5
# Damage at the very end of a capture loses some frames; up to this much is filled by repeating the last.
MISSING_END_S = 1


def detect_scenes(
    *,
    source: Path,
    capture: Capture,
    settings: ScenesSettings,
    table: Path,
    edl: Path,
    csv: Path,
    film: FilmChoice = "auto",
) -> None:
    """Divide a capture into scenes and write the table, the edit decision list and the CSV sheet.

    `film` is the choice of the sheet. Raises InputError if clearly fewer frames can be decoded than the capture stage
    counted, ConfigError for film that the capture cannot be.
    """
    rate = capture.takes[0].rate
    search = FilmSearch.of(capture, film, may_have_fields=_may_have_fields(capture))
    spans: list[FrameRange] = []
    recordings: list[MeasuredRecording] = []
    for take in capture.takes:
        start = spans[-1].stop_frame if spans else 0
        recording, measured = _detect_in(take.located(source), take, capture, settings, search)
        spans += [FrameRange(start + span.start_frame, start + span.stop_frame) for span in recording]
        recordings.append(measured)
    found = find_tape_film(search, recordings)
    films = found.of_scenes(spans) if found else []
    if not all(each.parsed.shown for each in films):
        LOG.info("a scene has no film frame of its own: this tape keeps its rate")
        films = []
    scenes = make_scenes(spans, rate, films)
    report(f"{len(scenes)} scenes of {capture.frames} frames", frames=capture.frames)
    write_edl(scenes, source.stem, edl)
    write_csv(scenes, csv)
    write_scenes(scenes, table)


def _detect_in(
    source: Path, take: SourceFileInfo, capture: Capture, settings: ScenesSettings, search: FilmSearch | None
) -> tuple[Sequence[FrameRange], MeasuredRecording]:
    """Return the scenes of a capture, or of one of the recordings joined in it, from its frame 0 on, and its fields."""
    combing = search.measures() if search else {}
    found = _analyse(source, take, capture.picture, settings, combing, with_fields=_may_have_fields(capture))
    movement = found.movement
    for frame in found.order_changes:
        LOG.info("the field order changes at frame %d", frame)
    rate = take.rate
    power = np.zeros(take.frames)
    if capture.sounds:
        track = capture.sounds[0].stream_index
        power = audio_samples.mean_square_per_frame(source, track, clock=take)
    spans = merge_short_split_long(
        found.cuts,
        fixed=found.order_changes,
        movement=movement,
        power=power,
        shortest=settings.in_frames(settings.shortest_s, rate),
        longest=settings.longest_frames(rate),
        smooth=settings.in_frames(PAUSE_S, rate),
    )
    return spans, MeasuredRecording(take.frames, combing, found.matches)


@dataclass(frozen=True)
class _Analysis:
    """Result of one pass over a capture."""

    cuts: list[int]
    """First frames of scenes."""
    order_changes: list[int]
    """First frames of another field order."""
    movement: np.ndarray
    """Difference of each frame to the one before, shape = (frames,)."""
    matches: str
    """Letters of `FieldMatcher`."""


def _may_have_fields(capture: Capture) -> bool:
    """Whether parts of a capture may be interlaced, by what the capture stage found."""
    found_by = capture.notes.get("field_order", {}).get("found_by")
    if capture.picture.field_order == "progressive" and found_by in (None, "sheet", "rotation", "size and rate"):
        return False
    return capture.picture.width >= STRIP_WIDTH


def _analyse(
    source: Path,
    take: SourceFileInfo,
    picture: VideoInfo,
    settings: ScenesSettings,
    combing: Mapping[InterlacedOrder, FieldCombing],
    *,
    with_fields: bool,
) -> _Analysis:
    detector = CutDetector(settings, take.rate)
    matcher = FieldMatcher()
    movement = np.zeros(take.frames)
    before: np.ndarray | None = None
    count = 0
    frames = Progress(take.frames).counting(scaled_frames(source, take, picture, with_strips=with_fields))
    for count, (frame, strip) in enumerate(frames, start=1):
        if count > take.frames:
            # ffmpeg restarts its filters for another size, and with them the frame count.
            raise InputError(
                f"more frames are decoded than the {take.frames} of the capture: they change their size",
                file=source,
                remedy="the recording is damaged, or joined of several: divide it, and make each part a tape",
            )
        luma = detector.add(frame)
        if before is not None:
            movement[count - 1] = _distance(before, luma)
        before = luma
        if strip is not None:
            matcher.add(strip)
            for each in combing.values():
                each.add(strip)
    missing = take.frames - count
    if count == 0 or missing > settings.in_frames(MISSING_END_S, take.rate):
        raise InputError(
            f"the capture has {take.frames} frames, but only {count} can be decoded",
            file=source,
            remedy="the recording is damaged towards its end; capture it again, or shorten the file to the good part",
        )
    if missing:
        LOG.warning("the last %d frames cannot be decoded, the one before is repeated", missing)
    cuts = detector.borders()
    matches = matcher.matches()
    changes = find_order_changes(matches, cuts, movement) if with_fields else []
    return _Analysis(cuts, changes, movement, matches)


class CutDetector:
    """Detector of cuts and fades, fed with the frames of a capture in order."""

    def __init__(self, settings: ScenesSettings, rate: Fraction) -> None:
        from scenedetect.detectors import AdaptiveDetector, ThresholdDetector

        self._rate = rate
        self._flash = settings.in_frames(settings.flash_s, rate)
        self._lumas: deque[np.ndarray] = deque(maxlen=2 * self._flash + NEIGHBOURS + 2)
        self._candidates: deque[int] = deque()
        self._borders: set[int] = set()
        self._next = 0
        # Luma only: hue is noise where a tape is pale, and saturation where it is dark.
        self._cuts = AdaptiveDetector(
            adaptive_threshold=settings.cut_ratio,
            min_content_val=settings.cut_change,
            window_width=NEIGHBOURS,
            min_scene_len=0,
            luma_only=True,
        )
        self._fades = ThresholdDetector(
            threshold=settings.black_level,
            min_scene_len=0,
            min_out_length=settings.in_frames(settings.black_s, rate),
        )

    def add(self, frame: np.ndarray) -> np.ndarray:
        """Process the next frame, shape = (height, width, 3); return its luma, shape = (height, width), uint8."""
        import cv2
        from scenedetect.common import FrameTimecode

        time = FrameTimecode(self._next, fps=self._rate)
        luma: np.ndarray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        self._lumas.append(luma)
        self._next += 1
        self._candidates.extend(cut.frame_num for cut in self._cuts.process_frame(time, frame))
        # The fade detector uses the mean of its input: here of one value.
        blackness = np.percentile(luma, BLACK_PERCENTILE, keepdims=True)
        self._borders.update(cut.frame_num for cut in self._fades.process_frame(time, blackness))
        while self._candidates and self._candidates[0] + self._flash <= self._next:
            self._confirm(self._candidates.popleft())
        return luma

    def borders(self) -> list[int]:
        """Return all borders, after the last frame."""
        while self._candidates:
            self._confirm(self._candidates.popleft())
        return sorted(self._borders)

    def _confirm(self, cut: int) -> None:
        """Add a cut unless the image soon returns: that was a flash, a dropout or a shake."""
        oldest = self._next - len(self._lumas)
        before = [self._lumas[k - oldest] for k in range(max(oldest, cut - self._flash), cut)]
        after = [self._lumas[k - oldest] for k in range(cut, min(self._next, cut + self._flash))]
        jump = _distance(before[-1], after[0])
        if min(_distance(one, other) for one in before for other in after) > RETURN_SHARE * jump:
            self._borders.add(cut)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two images."""
    return float(np.mean(np.abs(one.astype(np.int16) - other)))

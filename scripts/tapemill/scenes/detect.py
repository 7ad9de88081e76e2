"""Scene detection: cuts and fades by PySceneDetect's detectors, in one pass over the video.

One ffmpeg process converts the capture to its constant-rate grid and scales it down; memory use is constant.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from tapemill.core.errors import GateError, InputError
from tapemill.core.progress import Progress, report
from tapemill.core.timing import FrameRange
from tapemill.media import audio_samples, ffmpeg
from tapemill.media.capture_info import Capture, SourceFileInfo, VideoInfo
from tapemill.media.cfr import CfrGrid
from tapemill.media.ffmpeg.limits import timeout_s
from tapemill.media.output_checks import REMEDY

from .encode import cut_out_filter
from .segmentation import merge_short_split_long
from .settings import ScenesSettings
from .table import make_scenes, write_csv, write_edl, write_scenes

LOG = logging.getLogger("tapemill.scenes")

# At this width tape noise disappears, cuts do not.
WIDTH_PX = 64
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
) -> None:
    """Divide a capture into scenes and write the table, the edit decision list and the CSV sheet.

    Raises InputError if clearly fewer frames can be decoded than the capture stage counted.
    """
    rate = capture.takes[0].rate
    spans: list[FrameRange] = []
    for take in capture.takes:
        start = spans[-1].stop_frame if spans else 0
        found = _detect_in(take.located(source), take, capture, settings)
        spans += [FrameRange(start + span.start_frame, start + span.stop_frame) for span in found]
    scenes = make_scenes(spans, rate)
    report(f"{len(scenes)} scenes of {capture.frames} frames", frames=capture.frames)
    write_edl(scenes, source.stem, edl)
    write_csv(scenes, csv)
    write_scenes(scenes, table)


def _detect_in(source: Path, take: SourceFileInfo, capture: Capture, settings: ScenesSettings) -> Sequence[FrameRange]:
    """Return the scenes of a capture, or of one of the recordings joined in it, from its frame 0 on."""
    borders, movement = _analyse(source, take, capture.picture, settings)
    rate = take.rate
    power = np.zeros(take.frames)
    if capture.sounds:
        track = capture.sounds[0].stream_index
        power = audio_samples.mean_square_per_frame(source, track, clock=take)
    return merge_short_split_long(
        borders,
        movement=movement,
        power=power,
        shortest=settings.in_frames(settings.shortest_s, rate),
        longest=settings.longest_frames(rate),
        smooth=settings.in_frames(PAUSE_S, rate),
    )


def _analyse(
    source: Path, take: SourceFileInfo, picture: VideoInfo, settings: ScenesSettings
) -> tuple[list[int], np.ndarray]:
    """Return borders (first frames of scenes) and the difference of each frame to the one before, shape = (frames,)."""
    detector = CutDetector(settings, take.rate)
    movement = np.zeros(take.frames)
    before: np.ndarray | None = None
    count = 0
    frames = Progress(take.frames).counting(_small_frames(source, take, picture))
    for count, frame in enumerate(frames, start=1):
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
    missing = take.frames - count
    if count == 0 or missing > settings.in_frames(MISSING_END_S, take.rate):
        raise InputError(
            f"the capture has {take.frames} frames, but only {count} can be decoded",
            file=source,
            remedy="the recording is damaged towards its end; capture it again, or shorten the file to the good part",
        )
    if missing:
        LOG.warning("the last %d frames cannot be decoded, the one before is repeated", missing)
    return detector.borders(), movement


def _small_frames(source: Path, take: SourceFileInfo, picture: VideoInfo) -> Iterator[np.ndarray]:
    """Yield scaled-down frames of the capture's grid. shape = (height, width, 3), uint8, BGR.

    Raises GateError if ffmpeg returns anything else.
    """
    width = min(WIDTH_PX, picture.width)
    height = max(1, round(width * picture.height / picture.width))
    chain = [*cfr_filters(take), f"trim=end_pts={take.frames}", *cut_out_filter(picture)]
    if picture.field_order != "progressive":
        # One field only: no combing, and a cut between the two fields of a frame is a cut between frames.
        chain.append("field=type=" + ("top" if picture.field_order == "tff" else "bottom"))
    chain += [f"scale={width}:{height}:flags=area+accurate_rnd+bitexact", "format=bgr24"]
    opened = ffmpeg.input_args(source, options=take.decoding)
    arguments = ["-copyts", *opened, "-map", f"0:{take.stream_index}", "-filter:v", ",".join(chain)]
    arguments += ["-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    limit_s = timeout_s(reads=[source], samples=picture.width * picture.height, decoded=take.frames)
    with ffmpeg.pipe_out(arguments, concerns=source, timeout_s=limit_s) as stream:
        size = width * height * 3
        for number in itertools.count():
            data = stream.read(size)
            if not data:
                break
            if len(data) < size:
                raise GateError(
                    f"after {number} of {take.frames} pictures came {len(data)} bytes that are none",
                    file=source,
                    tool=ffmpeg.binary(),
                    remedy=REMEDY,
                )
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)


def cfr_filters(grid: CfrGrid) -> list[str]:
    """Return filters that convert a capture, decoded from its start with its own time stamps, to the grid.

    `fps` rounds like `CfrGrid.indices` (nearest, halves up) and repeats the first frame if earlier ones are damaged.
    """
    return [f"setpts={grid.from_frame_0()}", f"fps=fps={grid.rate.numerator}/{grid.rate.denominator}:start_time=0"]


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

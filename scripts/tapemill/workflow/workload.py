"""Work of jobs in the unit of their rule: by the scenes of a tape if they are known, otherwise by an estimate.

Units are those of captures with 576 lines and 25 frames a second; other frames count by their samples. NTSC's 480 lines
and 30 frames give the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tapemill.core.errors import InputError
from tapemill.core.rule_catalog import Unit, rule_info
from tapemill.enhance import SceneSettings
from tapemill.media.capture_info import VideoInfo
from tapemill.media.probe import open_media
from tapemill.scenes import Scene

from .job_params import JobParams
from .tape import TapeState

FRAME_SAMPLES: Final = 720 * 576
USUAL_RATE: Final = 25.0
USUAL_OUTPUT_FRAMES: Final = 2
"""Tapes are interlaced, and each field becomes a frame unless the config sets something else."""
USUAL_BYTES_PER_S: Final = 3_600_000
"""Of DV, for a file that cannot be opened."""
LANGUAGE_WINDOW_S: Final = 30
"""Length of audio by which Whisper detects the language of a scene."""
SCENE_SHARE: Final = 0.5
"""Length of an unknown scene, as a share of the longest allowed one: 15 s, a usual shot of a home video."""


@dataclass(frozen=True)
class SceneLoad:
    """Length of one scene."""

    id: str
    video_s: float


@dataclass(frozen=True)
class TapeLoad:
    """Work of one tape."""

    scenes: tuple[SceneLoad, ...]
    are_scenes_known: bool
    """Whether they are from the scene table or a folder, not an estimate."""
    is_length_known: bool
    """Whether the capture was probed; otherwise the length is from its header or its size."""
    samples_share: float
    """Samples of a frame compared with 576i."""
    frames_per_s: float
    output_frames_per_frame: float

    @cached_property
    def video_s(self) -> float:
        """Length of the tape in seconds."""
        return sum(scene.video_s for scene in self.scenes)

    def units(self, unit: Unit, video_s: float) -> float:
        """Work of so many seconds of this tape."""
        if unit == "once":
            return 0.0
        if unit == "audio":
            return video_s
        frames = video_s * self.frames_per_s * self.samples_share
        return frames * self.output_frames_per_frame if unit == "frames" else frames / USUAL_RATE

    def video_of(self, scene: str) -> float:
        """Seconds of a scene, or of the tape for an empty id. An unknown scene has the mean length."""
        if not scene:
            return self.video_s
        return self._lengths.get(scene, self.video_s / max(1, len(self.scenes)))

    def lengths_of(self, ids: Sequence[str]) -> dict[str, float]:
        """Seconds of scenes by their ids, also of scenes that are in no table any more; of the tape for an empty id.

        `ids` are all scenes of one scene table, in order. The id of a scene is its first frame, so that it ends where
        the next one starts. This does not hold for a folder, whose unknown scenes have no length.
        """
        if self.are_scenes_known or ids == [""]:
            return {id: self.video_s if not id else self._lengths[id] for id in ids if not id or id in self._lengths}
        starts = [int(id) for id in ids if id.isdecimal()]
        stops = [*starts[1:], round(self.video_s * self.frames_per_s)]
        pairs = zip(ids, starts, stops, strict=True) if len(starts) == len(ids) else ()
        return {id: (stop - start) / self.frames_per_s for id, start, stop in pairs if stop > start}

    @cached_property
    def _lengths(self) -> Mapping[str, float]:
        return {scene.id: scene.video_s for scene in self.scenes}


USUAL_LOAD: Final = TapeLoad((), False, False, 1.0, USUAL_RATE, USUAL_OUTPUT_FRAMES)
"""A tape about which nothing is known."""


def load_of(state: TapeState, enhance: SceneSettings, longest_s: float) -> TapeLoad:
    """Return the work of a tape, by its records or the headers of its files. `longest_s` limits the scenes."""
    try:
        capture = state.capture
    except FileNotFoundError:
        return _load_from_headers(state, enhance, longest_s)
    picture = capture.picture
    rate = float(picture.rate)
    try:
        known = state.scenes(state.scene_table)
    except (FileNotFoundError, ValueError):
        # The scenes are not detected yet, or a folder has other files now, which will be probed again.
        known = {}
    scenes = tuple(SceneLoad(id, float(scene.span.frames / scene.rate)) for id, scene in known.items())
    return TapeLoad(
        scenes=scenes or tuple(_estimated_scenes(state, capture.frames / rate, longest_s)),
        are_scenes_known=bool(scenes),
        is_length_known=True,
        samples_share=picture.width * picture.height / FRAME_SAMPLES,
        frames_per_s=rate,
        output_frames_per_frame=_output_frames(enhance, picture, known.values()),
    )


def units_of_job(job: JobParams, rule: str) -> float:
    """Return the work of a job in the unit of its rule. Raises what `JobParams` raises while facts are missing."""
    unit = rule_info(rule).unit
    if unit == "once":
        return 0.0
    if rule == "probe_capture":
        # Only the size of the capture is known before the probe.
        return sum(file.stat().st_size for file in job.tape.files if file.exists()) / USUAL_BYTES_PER_S
    capture = job.capture
    rate = float(capture.picture.rate)
    load = TapeLoad(
        scenes=(),
        are_scenes_known=True,
        is_length_known=True,
        samples_share=capture.picture.width * capture.picture.height / FRAME_SAMPLES,
        frames_per_s=rate,
        output_frames_per_frame=_output_frames(job.enhance, capture.picture, job.known_scenes),
    )
    return load.units(unit, (capture.frames if job.scene_id is None else job.frames) / rate)


def _output_frames(enhance: SceneSettings, picture: VideoInfo, scenes: Iterable[Scene]) -> float:
    """Frames of clips for each frame of a capture, fewer if its scenes are film."""
    output = enhance.output(picture, enhance.film_rate(scene.film for scene in scenes))
    return float(output.rate / picture.rate)


def _load_from_headers(state: TapeState, enhance: SceneSettings, longest_s: float) -> TapeLoad:
    headers = [_header(file) for file in state.files]
    samples, rate = next(((header[1], header[2]) for header in headers if header[1]), (FRAME_SAMPLES, USUAL_RATE))
    bob = enhance.of_tape["deinterlace"] == "bob" and state.row.field_order != "progressive"
    return TapeLoad(
        scenes=tuple(_estimated_scenes(state, sum(header[0] for header in headers), longest_s)),
        are_scenes_known=state.is_folder,
        is_length_known=False,
        samples_share=samples / FRAME_SAMPLES,
        frames_per_s=rate,
        output_frames_per_frame=USUAL_OUTPUT_FRAMES if bob else 1,
    )


def _header(file: Path) -> tuple[float, int, float]:
    """Seconds, samples of a frame and frames a second by the header of a file; 0 samples if it does not state them."""
    try:
        with open_media(file) as container:
            video = next(iter(container.streams.video), None)
            if container.duration and video is not None and video.width:
                rate = float(video.average_rate or USUAL_RATE)
                return container.duration / 1_000_000, video.width * video.height, rate
    except InputError:
        # The probe will report the error.
        pass
    size = file.stat().st_size if file.exists() else 0
    return size / USUAL_BYTES_PER_S, 0, USUAL_RATE


def _estimated_scenes(state: TapeState, video_s: float, longest_s: float) -> Iterator[SceneLoad]:
    """Scenes of the same length: the files of a folder, or as many as a tape of this length usually has."""
    ids: Sequence[str] = list(state.folder) if state.is_folder else ()
    if not ids:
        count = max(1, math.ceil(video_s / (SCENE_SHARE * longest_s)))
        ids = [f"unknown {number}" for number in range(count)]
    yield from (SceneLoad(id, video_s / len(ids)) for id in ids)

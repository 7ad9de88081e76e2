"""How much work each job of a tape is: of its scenes as far as they are known, of an estimate before.

Times are said for captures of 576 lines and 25 frames a second; other pictures count by their samples. NTSC's 480 lines
and 30 frames come to the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tapemill.core.errors import InputError
from tapemill.core.rule_catalog import Unit
from tapemill.enhance import SceneSettings
from tapemill.media.probe import open_media
from tapemill.workflow.tape import TapeState

FRAME_SAMPLES: Final = 720 * 576
USUAL_RATE: Final = 25.0
USUAL_PICTURES_PER_FRAME: Final = 2
"""Tapes are interlaced, and each field becomes a picture unless the config says otherwise."""
USUAL_BYTES_PER_S: Final = 3_600_000
"""DV, where the file cannot even be opened."""
SCENE_SHARE: Final = 0.5
"""A scene of unknown length, as a share of the longest that is allowed: 15 s, a usual shot of a home video."""


@dataclass(frozen=True)
class SceneLoad:
    """One scene."""

    id: str
    video_s: float


@dataclass(frozen=True)
class TapeLoad:
    """One tape."""

    scenes: tuple[SceneLoad, ...]
    are_scenes_known: bool
    """Whether they are those of the scene table or of a folder, not an estimate."""
    is_length_known: bool
    """Whether the capture was looked into; otherwise its header, or its size, has to do."""
    samples_share: float
    """Samples of a frame compared with 576i."""
    frames_per_s: float
    pictures_per_frame: int

    @cached_property
    def video_s(self) -> float:
        """All of it."""
        return sum(scene.video_s for scene in self.scenes)

    def units(self, unit: Unit, video_s: float) -> float:
        """How much work so many seconds of this tape are."""
        if unit == "once":
            return 0.0
        if unit == "sound":
            return video_s
        frames = video_s * self.frames_per_s * self.samples_share
        return frames * self.pictures_per_frame if unit == "pictures" else frames / USUAL_RATE

    def video_of(self, scene: str) -> float:
        """Seconds of a scene; of the whole tape if it is empty. What is unknown is as long as the mean."""
        if not scene:
            return self.video_s
        return self._lengths.get(scene, self.video_s / max(1, len(self.scenes)))

    def lengths_of(self, ids: Sequence[str]) -> dict[str, float]:
        """Seconds of scenes by their names, also of such as are in no table any more; of the tape for an empty one.

        `ids` are all scenes of one division of the tape, in order. A scene is named after its first frame, so that it
        ends where the next one begins; those of a folder are not, and unknown ones have no length.
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


def load_of(lookup: TapeState, enhance: SceneSettings, longest_s: float) -> TapeLoad:
    """What is known of a tape, or can be told from the heads of its files. `longest_s` is that of the scenes."""
    try:
        capture = lookup.capture
    except FileNotFoundError:
        return _from_head(lookup, enhance, longest_s)
    picture = capture.picture
    rate = float(picture.rate)
    try:
        known = lookup.scenes(lookup.scene_table)
    except (FileNotFoundError, ValueError):
        # Not looked for yet; or a folder that has other files now, which will be probed again.
        known = {}
    scenes = tuple(SceneLoad(id, float(scene.span.frames / scene.rate)) for id, scene in known.items())
    return TapeLoad(
        scenes=scenes or tuple(_pieces(lookup, capture.frames / rate, longest_s)),
        are_scenes_known=bool(scenes),
        is_length_known=True,
        samples_share=picture.width * picture.height / FRAME_SAMPLES,
        frames_per_s=rate,
        pictures_per_frame=enhance.output(picture).frames_per_frame,
    )


def _from_head(lookup: TapeState, enhance: SceneSettings, longest_s: float) -> TapeLoad:
    heads = [_head(file) for file in lookup.files]
    samples, rate = next(((head[1], head[2]) for head in heads if head[1]), (FRAME_SAMPLES, USUAL_RATE))
    bob = enhance.of_tape["deinterlace"] == "bob" and lookup.row.field_order != "progressive"
    return TapeLoad(
        scenes=tuple(_pieces(lookup, sum(head[0] for head in heads), longest_s)),
        are_scenes_known=lookup.is_folder,
        is_length_known=False,
        samples_share=samples / FRAME_SAMPLES,
        frames_per_s=rate,
        pictures_per_frame=USUAL_PICTURES_PER_FRAME if bob else 1,
    )


def _head(file: Path) -> tuple[float, int, float]:
    """Seconds, samples of a frame and frames a second as a file's head states them; 0 samples where it does not."""
    try:
        with open_media(file) as container:
            video = next(iter(container.streams.video), None)
            if container.duration and video is not None and video.width:
                rate = float(video.average_rate or USUAL_RATE)
                return container.duration / 1_000_000, video.width * video.height, rate
    except InputError:
        # The probe says what is wrong with it, if it is still so by then.
        pass
    size = file.stat().st_size if file.exists() else 0
    return size / USUAL_BYTES_PER_S, 0, USUAL_RATE


def _pieces(lookup: TapeState, video_s: float, longest_s: float) -> Iterator[SceneLoad]:
    """The files of a folder, or as many scenes as a tape of this length usually has; all of the same length."""
    ids: Sequence[str] = list(lookup.folder) if lookup.is_folder else ()
    if not ids:
        count = max(1, math.ceil(video_s / (SCENE_SHARE * longest_s)))
        ids = [f"unknown {number}" for number in range(count)]
    yield from (SceneLoad(id, video_s / len(ids)) for id in ids)

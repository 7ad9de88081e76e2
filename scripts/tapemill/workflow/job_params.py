"""Params of jobs while Snakemake plans: facts of the tape and scene, and the settings of the job."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from tapemill.core.errors import ConfigError, InputError, ModelError
from tapemill.core.timing import FrameRange, format_fraction
from tapemill.enhance import NetworkStep, OutputFormat, SceneSettings
from tapemill.media.capture_info import Capture, SourceFileInfo, VideoInfo
from tapemill.media.film.cadence import FilmRate
from tapemill.models import UNPINNED
from tapemill.scenes import Scene

from .tape import TapeState


def params_function(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Cache the signature of a params, input or resource function where `inspect.signature` looks first.

    Snakemake inspects it three times for every param of every job: without the cache, a tenth of all planning.
    """
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


@cache
def _to_plain(facts: VideoInfo | SourceFileInfo) -> dict[str, Any]:
    """Convert facts to plain params. Cached, because they are the same for every scene of a tape and never change."""
    return facts.to_plain()


@dataclass(frozen=True)
class JobParams:
    """Params of a job: facts of its tape, and of its scene if it has one, as plain values."""

    tape: TapeState
    scene_id: str | None
    table: Callable[[], Path | None]
    """Path of the scene table, None for a folder. Raises Snakemake's exception while the checkpoint has not run."""
    enhance: SceneSettings
    stretch_to_picture: bool = False
    """Setting of the section `audio`."""

    @property
    def scenes(self) -> dict[str, Scene]:
        """All scenes of the tape."""
        return self.tape.scenes(self.table())

    @property
    def known_scenes(self) -> list[Scene]:
        """Scenes of a table that exists; none before the scenes are detected, and for a folder."""
        table = self.tape.scene_table
        with suppress(FileNotFoundError, InputError):
            return list(self.tape.scenes(table).values()) if table is not None else []
        return []

    @property
    def scene(self) -> Scene:
        """The job's scene."""
        return self.scenes[self.scene_id or ""]

    @property
    def capture(self) -> Capture:
        """Facts of the capture. For the job of a scene they exist only when the scenes are known."""
        if self.scene_id is not None:
            self.table()
        return self.tape.capture

    @property
    def file(self) -> Path:
        """File that contains the scene, or the source of the tape."""
        if self.scene_id is None:
            return self.tape.row.source
        known = self.tape.folder if self.tape.is_folder else self.scenes
        if self.scene_id not in known:
            raise ConfigError(
                f"tape {self.tape.row.tape} has {len(known)} scenes, but none named {self.scene_id}",
                remedy="use a name from the tape's scenes.tsv, or of a file in its folder",
            )
        return self.tape.folder[self.scene_id] if self.tape.is_folder else self.tape.row.source

    @property
    def source(self) -> str:
        """Path of `file`."""
        return str(self.file)

    @property
    def sources(self) -> list[str]:
        """Paths of all files of the capture."""
        return [str(file) for file in self.tape.files]

    @property
    def fingerprint(self) -> str:
        """Fingerprint of `file`, which does not depend on file times."""
        return self.tape.fingerprint(self.file)

    @property
    def picture(self) -> dict[str, Any]:
        """Facts of the video stream."""
        return _to_plain(self.capture.picture)

    @property
    def sounds(self) -> list[dict[str, Any]]:
        """Facts of all audio tracks."""
        return [sound.to_plain() for sound in self.capture.sounds]

    @property
    def speech_stream(self) -> int | None:
        """Index of the audio stream for subtitles: the first one. None without audio."""
        return next((sound.stream_index for sound in self.capture.sounds), None)

    @property
    def stretch(self) -> str | None:
        """Seconds of audio for each second of the picture, if the settings stretch audio and it has another length."""
        capture = self.capture
        if not self.stretch_to_picture or not capture.sounds or len(capture.takes) > 1:
            return None
        share = capture.sounds[0].per_picture_second(capture.takes[0].frames / capture.takes[0].rate)
        return None if share in (None, 1) else format_fraction(share)

    @property
    def takes(self) -> list[dict[str, Any]]:
        """Facts of all source files of the capture."""
        return [_to_plain(take) for take in self.capture.takes]

    @property
    def take(self) -> dict[str, Any]:
        """Facts of the source file that contains the scene."""
        index = int(self.scene.id) - 1 if self.tape.is_folder else self._recording[0]
        return _to_plain(self.capture.takes[index])

    @property
    def _recording(self) -> tuple[int, int]:
        """Index of the recording that contains the scene, among those joined in the file, and its first frame."""
        first = 0
        for index, take in enumerate(self.capture.takes):
            if self.scene.span.start_frame < first + take.frames:
                return index, first
            first += take.frames
        return 0, 0

    @property
    def span_in_file(self) -> list[int]:
        """First frame of the scene and the frame after its last, counted in the recording that contains it."""
        start = 0 if self.tape.is_folder else self.scene.span.start_frame - self._recording[1]
        return [start, start + self.frames]

    @property
    def cut_in_file(self) -> list[int]:
        """Like `span_in_file`, of the scene's cut."""
        start, _ = self.span_in_file
        return [start, start + self.cut_frames]

    @property
    def frames(self) -> int:
        """Length of the scene in frames."""
        return self.scene.span.frames

    @property
    def cut_frames(self) -> int:
        """Length of the scene's cut in frames."""
        return self.frames if self.film_rate is None else self.scene.cut_frames

    @property
    def film_choice(self) -> str | None:
        """Choice of the sheet, None for auto."""
        return None if self.tape.row.film == "auto" else self.tape.row.film

    @property
    def film_rate(self) -> FilmRate | None:
        """Film frames a second, if the tape is made as film as a whole."""
        return self.enhance.film_rate(scene.film for scene in self.scenes.values())

    @property
    def film(self) -> dict[str, Any] | None:
        """Film of the scene, if the tape is made as film."""
        film = self.scene.film
        return film.to_plain() if film and self.film_rate else None

    @property
    def films(self) -> list[dict[str, Any]] | None:
        """Film of all scenes, if the tape is made as film."""
        films = [scene.film for scene in self.scenes.values()]
        return [film.to_plain() for film in films if film] if self.film_rate else None

    @property
    def spans(self) -> list[list[int]]:
        """All scenes as frame ranges [start, stop) of the tape."""
        return [[scene.span.start_frame, scene.span.stop_frame] for scene in self.scenes.values()]

    @property
    def scene_frames(self) -> dict[str, list[int]]:
        """Like `spans`, by the ids of the scenes."""
        return dict(zip(self.scenes, self.spans, strict=True))

    @property
    def row(self) -> dict[str, str]:
        """The row of the sheet. `film` is left out unless it is set: rows of older versions do not have it."""
        values = {name: str(value) for name, value in vars(self.tape.row).items()}
        return {name: value for name, value in values.items() if name != "film" or self.film_choice}

    @property
    def overrides(self) -> list[dict[str, Any]]:
        """Rows of the table of scene settings for this tape."""
        return self.enhance.rows_of(self.tape.row.tape)

    @property
    def rate(self) -> str:
        """Frames a second before enhancement."""
        return format_fraction(self.capture.picture.rate)

    @property
    def enhanced_rate(self) -> str:
        """Frames a second of the enhanced clips."""
        return format_fraction(self._output.rate)

    @property
    def enhanced_spans(self) -> list[list[int]]:
        """Like `spans`, in frames of the enhanced clips: twice as many if each field becomes a frame."""
        if self.film_rate:
            counts = [scene.film.parsed.shown for scene in self.scenes.values() if scene.film]
            stops = list(accumulate(counts))
            return [[stop - count, stop] for count, stop in zip(counts, stops, strict=True)]
        factor = self._output.frames_per_frame
        return [[factor * start, factor * stop] for start, stop in self.spans]

    @property
    def enhancement(self) -> dict[str, Any]:
        """The section `enhance` for the scene, or for the tape, with its chain and models resolved."""
        return self.enhance.of_tape if self.scene_id is None else self.enhance.of_scene(*self._scene_key)

    @property
    def networks(self) -> tuple[NetworkStep, ...]:
        """Networks of the scene's chain."""
        return (
            self.enhance.networks_of_tape if self.scene_id is None else self.enhance.networks_of_scene(*self._scene_key)
        )

    @property
    def _scene_key(self) -> tuple[str, str, FrameRange | None]:
        """Tape, scene and frame range, for the table of scene settings."""
        # Scenes of a folder are known before any job ran, but not their lengths.
        tape, folder = self.tape.row.tape, self.tape.is_folder
        self.enhance.note_unknown_scenes(tape, self.tape.folder if folder else self.scenes)
        return tape, self.scene_id or "", None if folder else self.scene.span

    @property
    def network_files(self) -> list[str]:
        """Files of `networks`. Raises ModelError for one that does not exist, or is not pinned.

        A finished tape goes without, until a job has to read it.
        """
        for step in self.networks:
            if not self.tape.is_finished:
                require_network(step)
        return [step.file for step in self.networks if Path(step.file).is_file()]

    @property
    def output(self) -> dict[str, Any]:
        """Format of all clips of the tape."""
        return self._output.to_plain()

    @property
    def _output(self) -> OutputFormat:
        return self.enhance.output(self.capture.picture, self.film_rate)

    def tape_tags(self, config: Mapping[str, Any], model_sha256: str, recipe: Mapping[str, int]) -> dict[str, Any]:
        """Tags of the tape about its making: without times and hosts, so that the same work makes the same bytes."""
        networks = self.enhance.networks_of_tape
        return {
            "capture": self.fingerprint,
            "field_order": self.capture.picture.field_order,
            "enhance_preset": config["enhance"]["preset"],
            **({"networks": ", ".join(f"{step.model} {step.sha256}" for step in networks)} if networks else {}),
            **({"film": f"{self.film_rate} frames a second"} if self.film_rate else {}),
            "encoder": config["enhance"]["encoder"],
            "speech_model": config["subtitles"]["model"],
            "speech_model_sha256": model_sha256,
            "recipe": " ".join(f"{stage}={number}" for stage, number in recipe.items()),
        }


def require_network(step: NetworkStep) -> None:
    """Raise ModelError for a network that does not exist, or is not pinned."""
    if step.sha256 == UNPINNED or not Path(step.file).is_file():
        raise ModelError(
            f"the network {step.model} is missing, or not pinned yet",
            file=step.file,
            remedy="run `snakemake fetch_models` once",
        )

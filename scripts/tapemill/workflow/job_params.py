"""What the workflow knows of a job while it plans: facts of its tape and scene, and the settings they are made with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tapemill.core.errors import ConfigError, ModelError
from tapemill.core.timing import FrameRange, format_fraction
from tapemill.enhance import NetworkStep, OutputFormat, SceneSettings
from tapemill.media.capture_info import Capture, SourceFileInfo, VideoInfo
from tapemill.models import UNPINNED
from tapemill.scenes import Scene

from .cost_model import Stage, expected_s, networks_s
from .tape import TapeState

LANGUAGE_WINDOW_S = 30
"""So much of a scene Whisper hears to tell its language."""


def params_function(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A params, input or resource function of the rules, with its signature kept where `inspect.signature` looks first.

    Snakemake asks for it three times for every param of every job, a tenth of all planning if it is found out anew.
    """
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


@cache
def plain(facts: VideoInfo | SourceFileInfo) -> dict[str, Any]:
    """As params of jobs. The same for every scene of a tape, and never changed, so it is worked out once."""
    return facts.to_plain()


@dataclass(frozen=True)
class JobParams:
    """A job while it is planned: facts of its tape, and of its scene if it has one, as plain values for its params."""

    tape: TapeState
    scene_id: str | None
    table: Callable[[], Path | None]
    """Path of the scene table, None for a folder. Raises, in Snakemake's way, while the table is still to be made."""
    enhance: SceneSettings

    @property
    def scenes(self) -> dict[str, Scene]:
        """All scenes of the tape."""
        return self.tape.scenes(self.table())

    @property
    def scene(self) -> Scene:
        """The job's scene."""
        return self.scenes[self.scene_id or ""]

    @property
    def capture(self) -> Capture:
        """Facts of the capture. A scene's job has them only when the scenes are known."""
        if self.scene_id is not None:
            self.table()
        return self.tape.capture

    @property
    def file(self) -> Path:
        """The file that holds the scene, or the source of the tape."""
        if self.scene_id is None:
            return self.tape.row.source
        known = self.tape.folder if self.tape.is_folder else self.scenes
        if self.scene_id not in known:
            raise ConfigError(
                f"tape {self.tape.row.tape} has {len(known)} scenes, but none named {self.scene_id}",
                remedy="take a name from the tape's scenes.tsv, or of a file in its folder",
            )
        return self.tape.folder[self.scene_id] if self.tape.is_folder else self.tape.row.source

    @property
    def source(self) -> str:
        """Path of this file."""
        return str(self.file)

    @property
    def sources(self) -> list[str]:
        """Paths of all files of the capture."""
        return [str(file) for file in self.tape.files]

    @property
    def fingerprint(self) -> str:
        """What tells this file from another: not its file time."""
        return self.tape.fingerprint(self.file)

    @property
    def picture(self) -> dict[str, Any]:
        """Facts of the picture."""
        return plain(self.capture.picture)

    @property
    def sounds(self) -> list[dict[str, Any]]:
        """Facts of all sound tracks."""
        return [sound.to_plain() for sound in self.capture.sounds]

    @property
    def speech_stream(self) -> int | None:
        """The sound track that is listened to for subtitles: the first. None if there is no sound."""
        return next((sound.stream_index for sound in self.capture.sounds), None)

    @property
    def takes(self) -> list[dict[str, Any]]:
        """Facts of all files of the capture."""
        return [plain(take) for take in self.capture.takes]

    @property
    def take(self) -> dict[str, Any]:
        """Facts of the file that holds the scene."""
        place = int(self.scene.id) - 1 if self.tape.is_folder else 0
        return plain(self.capture.takes[place])

    @property
    def span_in_file(self) -> list[int]:
        """First frame of the scene and the frame after its last, counted in the file that holds it."""
        start = 0 if self.tape.is_folder else self.scene.span.start_frame
        return [start, start + self.frames]

    @property
    def frames(self) -> int:
        """Length of the scene."""
        return self.scene.span.frames

    @property
    def spans(self) -> list[list[int]]:
        """All scenes as frame ranges of the tape."""
        return [[scene.span.start_frame, scene.span.stop_frame] for scene in self.scenes.values()]

    @property
    def scene_frames(self) -> dict[str, list[int]]:
        """Like `spans`, by the names of the scenes."""
        return dict(zip(self.scenes, self.spans, strict=True))

    @property
    def row(self) -> dict[str, str]:
        """The row of the sheet."""
        return {name: str(value) for name, value in vars(self.tape.row).items()}

    @property
    def overrides(self) -> list[dict[str, Any]]:
        """Rows of the table with settings of single scenes that are about this tape."""
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
        """Like `spans`, in frames of the enhanced clips: twice as many if each field became a frame."""
        factor = self._output.frames_per_frame
        return [[factor * start, factor * stop] for start, stop in self.spans]

    @property
    def enhancement(self) -> dict[str, Any]:
        """The section `enhance` for the scene, or for the tape: its chain written out, its models found."""
        return self.enhance.of_tape if self.scene_id is None else self.enhance.of_scene(*self._place)

    @property
    def networks(self) -> tuple[NetworkStep, ...]:
        """The networks that the scene goes through."""
        return self.enhance.networks_of_tape if self.scene_id is None else self.enhance.networks_of_scene(*self._place)

    @property
    def _place(self) -> tuple[str, str, FrameRange | None]:
        """What rows of the table are looked for by. Raises ConfigError for a row of a scene that there is not."""
        # Of a folder the scenes are known before anything ran, their lengths are not.
        tape, folder = self.tape.row.tape, self.tape.is_folder
        self.enhance.check_scenes(tape, self.tape.folder if folder else self.scenes)
        return tape, self.scene_id or "", None if folder else self.scene.span

    @property
    def network_files(self) -> list[str]:
        """Their files. Raises ModelError for one that is not there, or not pinned."""
        for step in self.networks:
            if step.sha256 == UNPINNED or not Path(step.file).is_file():
                raise ModelError(
                    f"the network {step.model} is not there, or not pinned yet",
                    file=step.file,
                    remedy="run `snakemake fetch_models` once",
                )
        return [step.file for step in self.networks]

    @property
    def output(self) -> dict[str, Any]:
        """What all clips of the tape are."""
        return self._output.to_plain()

    @property
    def _output(self) -> OutputFormat:
        return self.enhance.output(self.capture.picture)

    def expected_s(self, stage: Stage, subtitles: Mapping[str, Any]) -> int:
        """Seconds that the job is expected to take on a card. `subtitles` is that section of the config."""
        model = str(subtitles["model"])
        if stage == "encoder":
            return expected_s(stage, video_s=0, model=model)
        if stage == "language":
            return expected_s(stage, video_s=LANGUAGE_WINDOW_S * int(subtitles["language_scenes"]), model=model)
        video_s = float(self.scene.span.frames / self.scene.rate)
        if stage == "picture":
            kinds = [step.kind for step in self.networks]
            pictures = self.frames * self._output.frames_per_frame
            return expected_s(stage, video_s=video_s, model=model) + networks_s(kinds, pictures)
        return expected_s(stage, video_s=video_s, model=model)

    def made_with(self, config: Mapping[str, Any], model_sha256: str, recipe: Mapping[str, int]) -> dict[str, Any]:
        """What the tape says of how it was made: no times and places, so that the same work makes the same bytes."""
        networks = self.enhance.networks_of_tape
        return {
            "capture": self.fingerprint,
            "field_order": self.capture.picture.field_order,
            "enhance_preset": config["enhance"]["preset"],
            **({"networks": ", ".join(f"{step.model} {step.sha256}" for step in networks)} if networks else {}),
            "encoder": config["enhance"]["encoder"],
            "speech_model": config["subtitles"]["model"],
            "speech_model_sha256": model_sha256,
            "recipe": " ".join(f"{stage}={number}" for stage, number in recipe.items()),
        }

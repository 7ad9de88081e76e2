"""Scenes of their own: other settings for single scenes, from a table beside the tape sheet."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tapemill.config.schema import check_values, schema
from tapemill.core.errors import ConfigError
from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import VideoInfo
from tapemill.models import NETWORKS, find_model
from tapemill.storage.tsv import read_table
from tapemill.storage.untrusted_text import parse_yaml

from .chain import Chain, NetworkStep, resolve_chain
from .output_format import OutputFormat, plan_output_format
from .settings import EnhanceSettings

WHERE: Final = ("tape", "scene", "start_frame", "stop_frame")
# All clips of a tape agree on these, or they do not join.
OF_THE_TAPE: Final = frozenset(
    {
        *("deinterlace", "crop_top_lines", "crop_bottom_lines", "crop_left_samples", "crop_right_samples"),
        *("height_lines", "encoder", "crf", "encoder_effort", "encoder_threads", "keyframe_interval_s", "pixel_format"),
        "overrides",
    }
)

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Override:
    """One row of the table."""

    where: str
    """File and row, for messages."""
    tape: str
    scene: str
    """Empty if the row is for a range of frames, or for the whole tape."""
    span: FrameRange | None
    values: Mapping[str, Any]

    def concerns(self, tape: str, scene: str, span: FrameRange | None) -> bool:
        """Whether the row is for this scene: for its name, or for frames that hold more than half of it.

        Ready scenes have no `span` on the tape. Raises ConfigError if the row is for frames all the same.
        """
        if self.tape != tape or (self.scene and self.scene != scene):
            return False
        if self.span is None:
            return True
        if span is None:
            raise ConfigError(
                f"{self.where}: tape {tape} is a folder of ready scenes, which have no place on the tape yet",
                remedy="name the scenes in the column `scene` instead",
            )
        start, stop = max(span.start_frame, self.span.start_frame), min(span.stop_frame, self.span.stop_frame)
        return 2 * (stop - start) > span.frames


@dataclass
class SceneSettings:
    """The section `enhance` for each scene: written out, with what the table says for it.

    What follows from the same rows, or from the same picture, is worked out once: every job of every scene asks.
    """

    section: Section
    """The config's, as it stands there."""
    overrides: Sequence[Override]
    complete: Callable[[Section], dict[str, Any]]
    """Writes a section's chain out; raises ConfigError."""
    _made: dict[tuple[int, ...], dict[str, Any]] = field(default_factory=dict, repr=False)
    _networks: dict[tuple[int, ...], tuple[NetworkStep, ...]] = field(default_factory=dict, repr=False)
    _outputs: dict[VideoInfo, OutputFormat] = field(default_factory=dict, repr=False)

    @classmethod
    def planned(cls, section: Section, tapes: Sequence[str]) -> SceneSettings:
        """All of it, checked, with models from the registry. Raises ConfigError for anything that cannot be."""

        def complete(changed: Section) -> dict[str, Any]:
            return resolve_chain(
                changed,
                lambda name: find_model(name, NETWORKS),
                lambda own: check_values("enhance", own, "enhance.chain"),
            )

        made = cls(section, read_overrides(Path(section["overrides"]), tapes), complete)
        made.check()
        return made

    @property
    def of_tape(self) -> dict[str, Any]:
        """What holds where the table says nothing, and what shapes all clips."""
        return self._with(())

    def of_scene(self, tape: str, scene: str, span: FrameRange | None) -> dict[str, Any]:
        """The settings of a scene. Where rows disagree the later one counts."""
        return self._with(self._rows(tape, scene, span))

    def rows_of(self, tape: str) -> list[dict[str, Any]]:
        """What the table says of a tape, as plain values: the scene or the frames of each row, and its settings."""
        return [
            {
                "scene": row.scene,
                "frames": [row.span.start_frame, row.span.stop_frame] if row.span else None,
                "settings": dict(row.values),
            }
            for row in self.overrides
            if row.tape == tape
        ]

    def sections_of(self, tape: str) -> list[dict[str, Any]]:
        """Every section that scenes of a tape may get: the tape's, and one for each row about it."""
        rows = [number for number, row in enumerate(self.overrides) if row.tape == tape]
        return [self.of_tape, *(self._with((number,)) for number in rows)]

    @property
    def networks_of_tape(self) -> tuple[NetworkStep, ...]:
        """The networks of scenes that the table says nothing of."""
        return self._networks_with(())

    def networks_of_scene(self, tape: str, scene: str, span: FrameRange | None) -> tuple[NetworkStep, ...]:
        """The networks that a scene goes through."""
        return self._networks_with(self._rows(tape, scene, span))

    def output(self, picture: VideoInfo) -> OutputFormat:
        """What all clips of a tape with such a picture are. Raises ConfigError if the crop leaves nothing of it."""
        if picture not in self._outputs:
            self._outputs[picture] = plan_output_format(picture, EnhanceSettings(**self.of_tape))
        return self._outputs[picture]

    @property
    def models(self) -> list[str]:
        """The models of all chains, as the config and the table name them."""
        sections = [self.of_tape, *(self._with((number,)) for number in range(len(self.overrides)))]
        steps = [step["network"]["model"] for section in sections for step in section["chain"] if "network" in step]
        return list(dict.fromkeys(steps))

    def check(self) -> None:
        """Raise ConfigError if the section cannot be, and for the first row that cannot."""
        self._with(())
        for number in range(len(self.overrides)):
            self._with((number,))

    def check_scenes(self, tape: str, scenes: Collection[str]) -> None:
        """Raise ConfigError for a row that names a scene which the tape does not have."""
        for override in self.overrides:
            if override.tape == tape and override.scene and override.scene not in scenes:
                near = difflib.get_close_matches(override.scene, scenes, n=1, cutoff=0)
                raise ConfigError(
                    f"{override.where}: tape {tape} has no scene {override.scene}",
                    remedy=f"names are in results/{tape}/scenes.tsv" + (f", a near one is {near[0]}" if near else ""),
                )

    def _rows(self, tape: str, scene: str, span: FrameRange | None) -> tuple[int, ...]:
        return tuple(number for number, override in enumerate(self.overrides) if override.concerns(tape, scene, span))

    def _networks_with(self, rows: tuple[int, ...]) -> tuple[NetworkStep, ...]:
        if rows not in self._networks:
            self._networks[rows] = Chain.of(EnhanceSettings(**self._with(rows))).networks
        return self._networks[rows]

    def _with(self, rows: tuple[int, ...]) -> dict[str, Any]:
        if rows not in self._made:
            changed = dict(self.section)
            for number in rows:
                changed.update(self.overrides[number].values)
            try:
                made = self.complete(changed)
            except ConfigError as error:
                where = f"{self.overrides[rows[-1]].where}: " if rows else ""
                raise ConfigError(f"{where}{error.what}", file=error.file, remedy=error.remedy) from error
            if rows:
                self._check_shape(made, self.overrides[rows[-1]].where)
            self._made[rows] = made
        return self._made[rows]

    def _check_shape(self, made: Section, where: str) -> None:
        for key in sorted(OF_THE_TAPE - {"overrides"}):
            if made[key] != self.of_tape[key]:
                raise ConfigError(
                    f"{where}: a step of the chain sets {key} to {made[key]!r} for single scenes",
                    remedy="all clips of a tape have to agree on it: set it in the config",
                )


def read_overrides(path: Path, tapes: Sequence[str]) -> list[Override]:
    """The rows of the table; none if there is no such file. Raises ConfigError naming the row that cannot be."""
    if not path.is_file():
        return []
    settings = [key for key in schema("config")["properties"]["enhance"]["properties"] if key not in OF_THE_TAPE]
    rows = read_table(path, [*WHERE, *settings], required=("tape",))
    return [_override(f"row {number} of {path}", row, tapes) for number, row in rows]


def _override(where: str, row: Mapping[str, str], tapes: Sequence[str]) -> Override:
    if row["tape"] not in tapes:
        raise ConfigError(f"{where}: there is no tape {row['tape']!r} in the sheet", remedy="correct the column `tape`")
    values = {key: _value(where, key, cell) for key, cell in row.items() if cell and key not in WHERE}
    check_values("enhance", values, where)
    return Override(where, row["tape"], row.get("scene", ""), _span(where, row), values)


def _span(where: str, row: Mapping[str, str]) -> FrameRange | None:
    start, stop = row.get("start_frame", ""), row.get("stop_frame", "")
    if not start and not stop:
        return None
    if row.get("scene"):
        raise ConfigError(
            f"{where}: name a scene or frames, not both", remedy="leave either `scene` or both frame columns empty"
        )
    if not (start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise ConfigError(
            f"{where}: frames from {start!r} to {stop!r} are no range, the stop is the frame after the last",
            remedy="write both as whole numbers, the smaller one first",
        )
    return FrameRange(int(start), int(stop))


def _value(where: str, key: str, cell: str) -> Any:
    """Cells are written like values in the config."""
    try:
        return parse_yaml(cell)
    except ValueError as error:
        raise ConfigError(
            f"{where}: {key} cannot be read: {cell[:60]!r} ({error})",
            remedy="write it as it would stand in config.yaml",
        ) from error

"""Scene overrides: settings for single scenes, from a table beside the tape sheet."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tapemill.config.row_fault import OnFault, RowFault, faulty_row_handler, raise_fault
from tapemill.config.schema import check_values, schema
from tapemill.core.errors import ConfigError
from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import VideoInfo
from tapemill.media.film.cadence import FilmRate, SceneFilm
from tapemill.models import NETWORKS, find_model
from tapemill.storage.tsv import read_table
from tapemill.storage.untrusted_text import parse_yaml

from .chain import Chain, NetworkStep, resolve_chain
from .output_format import OutputFormat, plan_output_format
from .settings import EnhanceSettings

KEY_COLUMNS: Final = ("tape", "scene", "start_frame", "stop_frame")
# All clips of a tape have these in common, or they do not join.
TAPE_KEYS: Final = frozenset(
    {
        *("deinterlace", "crop_top_lines", "crop_bottom_lines", "crop_left_samples", "crop_right_samples"),
        *("height_lines", "encoder", "crf", "encoder_effort", "encoder_threads", "keyframe_interval_s", "pixel_format"),
        "overrides",
    }
)

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Override:
    """Row of the table."""

    where: str
    """File and row, for error messages."""
    tape: str
    scene: str
    """Empty if the row is for a frame range or for the whole tape."""
    span: FrameRange | None
    values: Mapping[str, Any]

    def applies_to(self, tape: str, scene: str, span: FrameRange | None) -> bool:
        """Whether the row applies to a scene: by its name, or by frames that hold more than half of it.

        Scenes of a folder have no `span`. Raises ConfigError if the row has frames nevertheless.
        """
        if self.tape != tape or (self.scene and self.scene != scene):
            return False
        if self.span is None:
            return True
        if span is None:
            raise ConfigError(
                f"{self.where}: tape {tape} is a folder of scenes, which have no position on the tape yet",
                remedy="name the scenes in the column `scene` instead",
            )
        start, stop = max(span.start_frame, self.span.start_frame), min(span.stop_frame, self.span.stop_frame)
        return 2 * (stop - start) > span.frames


@dataclass
class SceneSettings:
    """Resolved section `enhance` for each scene, with its overrides.

    Results are cached by rows and by video, because every job of every scene asks for them.
    """

    section: Section
    """Section of the config, not resolved."""
    overrides: Sequence[Override]
    resolve: Callable[[Section], dict[str, Any]]
    """Resolves the chain of a section; raises ConfigError."""
    late_faults: list[RowFault] = field(default_factory=list, repr=False)
    """Rows that proved to be wrong during the run, when the scenes of their tape were detected."""
    _resolved: dict[tuple[int, ...], dict[str, Any]] = field(default_factory=dict, repr=False)
    _networks: dict[tuple[int, ...], tuple[NetworkStep, ...]] = field(default_factory=dict, repr=False)
    _outputs: dict[tuple[VideoInfo, FilmRate | None], OutputFormat] = field(default_factory=dict, repr=False)

    @classmethod
    def planned(cls, section: Section, tapes: Sequence[str], on_fault: OnFault = raise_fault) -> SceneSettings:
        """Read the table and validate everything, with models from the registry.

        A row that cannot be used is given to `on_fault` and left out. Raises ConfigError for an invalid section.
        """

        def resolve(changed: Section) -> dict[str, Any]:
            return resolve_chain(
                changed,
                lambda name: find_model(name, NETWORKS),
                lambda own: check_values("enhance", own, "enhance.chain"),
            )

        settings = cls(section, read_overrides(Path(section["overrides"]), tapes, on_fault), resolve)
        return settings.checked(on_fault)

    @property
    def of_tape(self) -> dict[str, Any]:
        """Settings of scenes without overrides, and of the format of all clips."""
        return self._with(())

    def of_scene(self, tape: str, scene: str, span: FrameRange | None) -> dict[str, Any]:
        """Settings of a scene. Of several rows the later one takes precedence."""
        return self._with(self._rows(tape, scene, span))

    def rows_of(self, tape: str) -> list[dict[str, Any]]:
        """Rows of a tape as JSON values: scene or frames, and settings."""
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
        """Every section that scenes of a tape may get: that of the tape, and one for each of its rows."""
        rows = [number for number, row in enumerate(self.overrides) if row.tape == tape]
        return [self.of_tape, *(self._with((number,)) for number in rows)]

    @property
    def networks_of_tape(self) -> tuple[NetworkStep, ...]:
        """Networks of scenes without overrides."""
        return self._networks_with(())

    def networks_of_scene(self, tape: str, scene: str, span: FrameRange | None) -> tuple[NetworkStep, ...]:
        """Networks of a scene."""
        return self._networks_with(self._rows(tape, scene, span))

    def output(self, picture: VideoInfo, film: FilmRate | None = None) -> OutputFormat:
        """Output format of a tape with this video, and with so many frames a second if it is film.

        Raises ConfigError if the crop leaves nothing of the frame.
        """
        key = picture, film
        if key not in self._outputs:
            self._outputs[key] = plan_output_format(picture, EnhanceSettings(**self.of_tape), film)
        return self._outputs[key]

    def film_rate(self, films: Iterable[SceneFilm | None]) -> FilmRate | None:
        """Film frames a second of a tape whose scenes have this film; None if it is made as video."""
        film = next(iter(films), None)
        return film.rate if film and self.of_tape["deinterlace"] != "off" else None

    @property
    def models(self) -> list[str]:
        """Names of the models of all chains."""
        sections = [self.of_tape, *(self._with((number,)) for number in range(len(self.overrides)))]
        steps = [step["network"]["model"] for section in sections for step in section["chain"] if "network" in step]
        return list(dict.fromkeys(steps))

    def checked(self, on_fault: OnFault = raise_fault) -> SceneSettings:
        """Return the settings without invalid rows, which are given to `on_fault`.

        Raises ConfigError for an invalid section.
        """
        self._with(())
        valid = []
        for number, override in enumerate(self.overrides):
            try:
                self._with((number,))
                valid.append(override)
            except ConfigError as error:
                on_fault(RowFault(override.tape, error))
        return self if len(valid) == len(self.overrides) else SceneSettings(self.section, valid, self.resolve)

    def note_unknown_scenes(self, tape: str, scenes: Collection[str]) -> None:
        """Note rows for scenes that a tape, whose scenes were just detected, does not have. They apply to nothing."""
        try:
            self.check_scenes(tape, scenes)
        except ConfigError as error:
            if str(error) not in map(str, self.late_faults):
                self.late_faults.append(RowFault(tape, error))

    def check_scenes(self, tape: str, scenes: Collection[str]) -> None:
        """Raise ConfigError for a row that names a scene that the tape does not have."""
        for override in self.overrides:
            if override.tape == tape and override.scene and override.scene not in scenes:
                near = difflib.get_close_matches(override.scene, scenes, n=1, cutoff=0)
                raise ConfigError(
                    f"{override.where}: tape {tape} has no scene {override.scene}",
                    remedy=f"names are in results/{tape}/scenes.tsv" + (f"; did you mean {near[0]}?" if near else ""),
                )

    def _rows(self, tape: str, scene: str, span: FrameRange | None) -> tuple[int, ...]:
        return tuple(number for number, override in enumerate(self.overrides) if override.applies_to(tape, scene, span))

    def _networks_with(self, rows: tuple[int, ...]) -> tuple[NetworkStep, ...]:
        if rows not in self._networks:
            self._networks[rows] = Chain.of(EnhanceSettings(**self._with(rows))).networks
        return self._networks[rows]

    def _with(self, rows: tuple[int, ...]) -> dict[str, Any]:
        if rows not in self._resolved:
            changed = dict(self.section)
            for number in rows:
                changed.update(self.overrides[number].values)
            try:
                resolved = self.resolve(changed)
            except ConfigError as error:
                where = f"{self.overrides[rows[-1]].where}: " if rows else ""
                raise ConfigError(f"{where}{error.what}", file=error.file, remedy=error.remedy) from error
            if rows:
                self._check_tape_keys(resolved, self.overrides[rows[-1]].where)
            self._resolved[rows] = resolved
        return self._resolved[rows]

    def _check_tape_keys(self, resolved: Section, where: str) -> None:
        for key in sorted(TAPE_KEYS - {"overrides"}):
            if resolved[key] != self.of_tape[key]:
                raise ConfigError(
                    f"{where}: a step of the chain sets {key} to {resolved[key]!r} for single scenes",
                    remedy="all clips of a tape have it in common: set it in the config",
                )


def read_overrides(path: Path, tapes: Sequence[str], on_fault: OnFault = raise_fault) -> list[Override]:
    """Read the rows of the table; none if the file does not exist. Invalid rows are given to `on_fault`."""
    if not path.is_file():
        return []
    settings = [key for key in schema("config")["properties"]["enhance"]["properties"] if key not in TAPE_KEYS]

    found = []
    on_faulty_row = faulty_row_handler(on_fault)
    for number, row in read_table(path, [*KEY_COLUMNS, *settings], required=("tape",), on_faulty_row=on_faulty_row):
        try:
            found.append(_override(f"row {number} of {path}", row, tapes))
        except ConfigError as error:
            on_fault(RowFault(row["tape"], error))
    return found


def _override(where: str, row: Mapping[str, str], tapes: Sequence[str]) -> Override:
    if row["tape"] not in tapes:
        raise ConfigError(f"{where}: there is no tape {row['tape']!r} in the sheet", remedy="correct the column `tape`")
    values = {key: _value(where, key, cell) for key, cell in row.items() if cell and key not in KEY_COLUMNS}
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
            f"{where}: frames from {start!r} to {stop!r} are not a range; the stop is the frame after the last",
            remedy="write both as whole numbers, the smaller one first",
        )
    return FrameRange(int(start), int(stop))


def _value(where: str, key: str, cell: str) -> Any:
    """Parse a cell, which is written like a value in the config."""
    try:
        return parse_yaml(cell)
    except ValueError as error:
        raise ConfigError(
            f"{where}: {key} cannot be read: {cell[:60]!r} ({error})",
            remedy="write it as in config.yaml",
        ) from error

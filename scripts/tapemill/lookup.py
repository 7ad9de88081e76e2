"""What the workflow knows of a tape while it plans: sheet row, source files, capture facts, scenes.

Everything is read from files that are there already; nothing is opened as media. Results are kept until a file changes,
since Snakemake asks for every scene of every tape again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import ConfigError, FatalError
from .facts import Capture
from .files import fingerprint, scene_files
from .scenes import Scene, folder_scenes, read_scenes
from .settings import Tape
from .timing import Span


@dataclass
class TapeLookup:
    """One tape of the sheet. `scenes` are given by the caller, who knows when the scene table is ready."""

    row: Tape
    results: Path = Path("results")
    _capture: tuple[int, Capture] | None = field(default=None, repr=False)
    _scenes: tuple[int, dict[str, Scene]] | None = field(default=None, repr=False)

    @cached_property
    def is_folder(self) -> bool:
        """Whether the source is a folder of ready scenes, so that its scenes are known before anything runs."""
        return self.row.source.is_dir()

    @cached_property
    def folder(self) -> dict[str, Path]:
        """The scenes of such a folder: name and file. Raises InputError for a file that leads out of it."""
        return folder_scenes(scene_files(self.row.source))

    @property
    def files(self) -> list[Path]:
        """The file or files of the capture, in order."""
        return list(self.folder.values()) if self.is_folder else [self.row.source]

    @property
    def facts_path(self) -> Path:
        """Where `capture.json` is, or will be."""
        return self.results / self.row.tape / "capture.json"

    @property
    def capture(self) -> Capture:
        """Content of `capture.json`. Raises FileNotFoundError before it is made."""
        changed_ns = self.facts_path.stat().st_mtime_ns
        if self._capture is None or self._capture[0] != changed_ns:
            self._capture = (changed_ns, Capture.read(self.facts_path))
        return self._capture[1]

    def scenes(self, table: Path | None) -> dict[str, Scene]:
        """The scenes by name, in order: of the scene table, or of a folder (then `capture.json` gives their lengths)."""
        if table is not None:
            changed_ns = table.stat().st_mtime_ns
            if self._scenes is None or self._scenes[0] != changed_ns:
                self._scenes = (changed_ns, {scene.id: scene for scene in read_scenes(table)})
            return self._scenes[1]
        scenes, start = {}, 0
        for name, take in zip(self.folder, self.capture.takes, strict=True):
            scenes[name] = Scene(name, Span(start, start + take.frames), take.rate)
            start += take.frames
        return scenes

    def file_of(self, scene: str) -> Path:
        """The file that holds a scene. Raises ConfigError if the folder has no such scene."""
        if not self.is_folder:
            return self.row.source
        if scene not in self.folder:
            raise ConfigError(f"tape {self.row.tape} has no scene {scene}, its folder holds {len(self.folder)} files")
        return self.folder[scene]

    def take_of(self, scene: str) -> dict[str, Any]:
        """Facts of the file that holds a scene, as plain values."""
        place = list(self.folder).index(scene) if self.is_folder else 0
        return self.capture.takes[place].to_plain()

    def span_in_file(self, scene: Scene) -> list[int]:
        """First frame and the frame after the last, counted in the file that holds the scene."""
        start = 0 if self.is_folder else scene.span.start_frame
        return [start, start + scene.span.frames]

    def fingerprint(self, scene: str | None = None) -> str:
        """What tells the capture, or the file of one scene, from another: not its file time."""
        path = self.row.source if scene is None else self.file_of(scene)
        if not path.exists():
            raise FatalError("the capture is gone", file=path, remedy="put it back, or remove the tape from the sheet")
        return fingerprint(path)


def spread(ids: list[str], count: int) -> list[str]:
    """At most `count` of the ids, evenly spread."""
    count = min(len(ids), count)
    return [ids[(2 * position + 1) * len(ids) // (2 * count)] for position in range(count)]


def lookups(rows: Mapping[str, Tape]) -> dict[str, TapeLookup]:
    """A lookup for each row of the sheet."""
    return {tape: TapeLookup(row) for tape, row in rows.items()}

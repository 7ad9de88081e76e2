"""State of a tape of the sheet while Snakemake plans: its files, and the results of earlier jobs.

Everything is read from existing files; no media file is opened. Values are cached until a file changes, because
Snakemake requests them for every scene of every tape again and again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from tapemill.config.tape_sheet import TapeRow
from tapemill.core.result_paths import CAPTURE_CHECKSUM, CONTAINERS, RESULTS, TapePaths
from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import Capture
from tapemill.records import job_records, known_content
from tapemill.records.capture import CaptureHashes, CheckedFile
from tapemill.scenes import Scene, folder_scenes, read_scenes
from tapemill.storage.fingerprint import fingerprint, scene_files

from .tape_recipe import TapeRecipe, recipe_of_tape

DEMO_CAPTURE: Final = "resources/demo/capture.mkv"
"""A source that need not exist: the rule `make_demo_capture` makes it."""
BYTES_PER_SCENE: Final = 54_000_000
"""Of a capture without a scene table: 15 s of DV."""


@dataclass
class TapeState:
    """State of one tape of the sheet."""

    row: TapeRow
    results: Path = RESULTS
    _capture: tuple[int, Capture] | None = field(default=None, repr=False)
    _scenes: tuple[int, dict[str, Scene]] | None = field(default=None, repr=False)
    _fingerprints: dict[Path, tuple[tuple[int, ...], str]] = field(default_factory=dict, repr=False)

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

    @cached_property
    def paths(self) -> TapePaths:
        """Paths of the tape's results."""
        return TapePaths.of(self.row.tape, self.results)

    @property
    def scene_table(self) -> Path | None:
        """Path of the scene table; None for a folder of ready scenes, which has none."""
        return None if self.is_folder else self.paths.scene_table

    @property
    def capture(self) -> Capture:
        """Content of `capture.json`. Raises FileNotFoundError before the probe."""
        changed_ns = self.paths.capture_record.stat().st_mtime_ns
        if self._capture is None or self._capture[0] != changed_ns:
            self._capture = (changed_ns, Capture.read(self.paths.capture_record))
        return self._capture[1]

    @cached_property
    def recipe(self) -> TapeRecipe:
        """Recipe of the tape. It does not change during a run. Raises ConfigError for a damaged file."""
        return recipe_of_tape(self.paths.folder)

    @property
    def is_finished(self) -> bool:
        """Whether the tape's file is there."""
        return any(self.paths.tape(container[1:]).exists() for container in CONTAINERS)

    def scenes(self, table: Path | None) -> dict[str, Scene]:
        """The scenes by name, in order: of the scene table, or of a folder (lengths from `capture.json`)."""
        changed_ns = (table or self.paths.capture_record).stat().st_mtime_ns
        if self._scenes is None or self._scenes[0] != changed_ns:
            found = read_scenes(table) if table else self._folder_scenes()
            self._scenes = (changed_ns, {scene.id: scene for scene in found})
        return self._scenes[1]

    def estimate_scene_count(self) -> int:
        """Number of scenes, counted without reading them, or estimated by the size of the capture."""
        if self.is_folder:
            return len(self.folder)
        try:
            with self.paths.scene_table.open("rb") as lines:
                return max(1, sum(1 for _ in lines) - 1)
        except OSError:
            return 1 + sum(file.stat().st_size for file in self.files if file.exists()) // BYTES_PER_SCENE

    def fingerprint(self, file: Path) -> str:
        """Fingerprint of a file of the capture, or of its folder, which does not depend on file times.

        Requested for every job of every scene; the blocks that it covers, a megabyte, are read again only after a
        change.
        """
        if file.is_dir():
            return fingerprint(file, self.fingerprint)
        try:
            now = file.stat()
        except FileNotFoundError:
            if self._recorded_fingerprint is None:
                raise
            return self._recorded_fingerprint
        # Unlike the modification time, the time of the inode cannot be set back.
        state = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        if file not in self._fingerprints or self._fingerprints[file][0] != state:
            self._fingerprints[file] = (state, self._identity(file))
        return self._fingerprints[file][1]

    def _identity(self, file: Path) -> str:
        """Fingerprint of a file: a longer one if it is known to have, or is taken to have, content of another file."""
        if self._changed_files and (changed := self._changed_files.get(known_content.file_state(file))):
            return changed.fingerprint
        sampled = fingerprint(file)
        return self._recorded_identities.get(sampled, sampled)

    @property
    def pending_checks(self) -> list[str]:
        """The output of `check_capture`, if something suggests that the capture has other content than was recorded.

        Empty also where the whole capture will be read anyway, and for a capture that is not there.
        """
        tape, record = self.row.tape, self.paths.path(CAPTURE_CHECKSUM)
        hashes = job_records.read(CaptureHashes, record)
        try:
            files = self.files
            check = known_content.check_file(tape, known_content.capture_state(files))
            found = [self.fingerprint(file) for file in files]
        except FileNotFoundError:
            return []
        if hashes is None or found != [file.fingerprint for file in hashes.files]:
            return []
        is_known = (
            check.exists() if known_content.has_checks(tape) else known_content.was_unchanged_since(record, files)
        )
        return [] if is_known else [str(check)]

    def watched_files(self, files: Sequence[Path]) -> list[str]:
        """Return files of the capture as inputs of jobs.

        A capture that was read to its end once may be on a shelf: while its file is not there, only a job that has to
        read it fails.
        """
        return as_inputs(file for file in files if file.exists() or self._recorded_fingerprint is None)

    @cached_property
    def _recorded_fingerprint(self) -> str | None:
        """Fingerprint in the record of the capture's hashes; None without one, and for a folder of scenes."""
        return self._hashes.files[0].fingerprint if self._hashes and len(self._hashes.files) == 1 else None

    @cached_property
    def _hashes(self) -> CaptureHashes | None:
        """Record of the content that the tape is made of, as it was at the first plan."""
        return job_records.read(CaptureHashes, self.paths.path(CAPTURE_CHECKSUM))

    @cached_property
    def _recorded_identities(self) -> Mapping[str, str]:
        return known_content.recorded_identities(self._hashes)

    @cached_property
    def _changed_files(self) -> Mapping[str, CheckedFile]:
        return known_content.changed_files(self.row.tape)

    def _folder_scenes(self) -> Iterator[Scene]:
        start = 0
        for name, take in zip(self.folder, self.capture.takes, strict=True):
            yield Scene(name, FrameRange(start, start + take.frames), take.rate)
            start += take.frames


def as_inputs(files: Iterable[Path]) -> list[str]:
    """Files that Snakemake can watch as inputs. It takes braces in names for wildcards, and there is no escape.

    Jobs get the paths of their sources as params, so that files with such names are only not watched.
    """
    return [str(file) for file in files if not re.search(r"\{.*\}", str(file), re.DOTALL)]


def tape_states(rows: Mapping[str, TapeRow]) -> dict[str, TapeState]:
    """State of each tape of the sheet, by its id."""
    return {tape: TapeState(row) for tape, row in rows.items()}

"""Hashes that were recorded for the files of a finished tape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tapemill.core.result_paths import CONTAINERS, TapePaths
from tapemill.provenance.load import read_document
from tapemill.storage.checksums import read_checksums


@dataclass(frozen=True)
class RecordedHashes:
    """SHA-256 of a tape's files."""

    folder: Path
    files: Mapping[str, str]
    """By path relative to the folder. Empty if nothing was recorded."""
    is_complete: bool
    """Whether records and clips are among them. Tapes of version 0.2 and older have hashes of the results only."""

    @property
    def results(self) -> dict[str, str]:
        """Those of the tape's file and its subtitles."""
        tape = self.folder.name
        suffixes = (*CONTAINERS, ".srt", ".vtt")
        return {
            name: sha256
            for name, sha256 in self.files.items()
            if name.startswith(f"{tape}.") and name.endswith(suffixes)
        }


def recorded_hashes(folder: Path) -> RecordedHashes:
    """Read what was recorded for the tape in a folder. Raises InputError for a damaged record."""
    if files := read_checksums(folder):
        return RecordedHashes(folder, files, is_complete=True)
    provenance = TapePaths(folder).provenance
    if not provenance.is_file():
        return RecordedHashes(folder, {}, is_complete=False)
    results = read_document(provenance).results
    return RecordedHashes(folder, {f"{folder.name}.{file.kind}": file.sha256 for file in results}, is_complete=False)

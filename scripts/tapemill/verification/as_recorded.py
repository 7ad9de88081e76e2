"""Results with the content that their tape was finished with, whatever their file times.

File managers, clouds and `cp -r` give copies new times, in any order. Snakemake takes an input that is newer than an
output for changed, and would make tapes anew. The checksums of a finished tape tell which files are as they were.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from tapemill.core.errors import InputError
from tapemill.core.result_paths import CONTAINERS, PROVENANCE, RESULTS, TapePaths
from tapemill.provenance.checksums import recorded_sha256
from tapemill.provenance.load import read_document
from tapemill.storage import checksums, fingerprint

MAX_HASHED_BYTES: Final = 64_000_000
"""Larger files are not read while a plan is made: the records of clips and audio have a hash, the tape has its size."""


def is_as_recorded(path: Path) -> bool:
    """Whether a file of a finished tape has the content that is in the checksums of the tape.

    False while jobs may have changed the tape since, and for the provenance, which only the report is made of.
    """
    if len(path.parts) < 3 or path.parts[: len(RESULTS.parts)] != RESULTS.parts or path.name == PROVENANCE:
        return False
    tape = path.parts[len(RESULTS.parts)]
    if checksums.is_changed(tape):
        return False
    try:
        about = path.stat()
        manifest = (RESULTS / tape / checksums.MANIFEST).stat()
    except OSError:
        return False
    sha256 = _manifest(RESULTS / tape, manifest.st_mtime_ns).get(path.relative_to(RESULTS / tape).as_posix())
    return sha256 is not None and _has_content(path, sha256, about.st_size, about.st_mtime_ns)


@cache
def _manifest(folder: Path, _written_ns: int) -> dict[str, str]:
    try:
        return checksums.read_checksums(folder)
    except InputError:
        return {}


@cache
def _has_content(path: Path, sha256: str, size: int, _changed_ns: int) -> bool:
    if size <= MAX_HASHED_BYTES:
        return fingerprint.sha256(path) == sha256
    if path.suffix in CONTAINERS and path.stem == path.parent.name:
        try:
            return read_document(TapePaths(path.parent).provenance).results[0].size_bytes == size
        except (OSError, InputError):
            return False
    return recorded_sha256(path) == sha256

"""Manifest of a folder's files, in the format of sha256sum(1): `sha256sum -c checksums.sha256` checks it anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from tapemill.core.errors import InputError

from . import atomic, untrusted_text

MANIFEST: Final = "checksums.sha256"
# Plain names only: sha256sum escapes others, and Tapemill makes none.
LINE: Final = re.compile(r"([0-9a-f]{64})  ((?:[\w+-][\w.+-]*/)*[\w+-][\w.+-]*)")
CHANGES: Final = Path(".snakemake/tapemill/changed")
REMEDY: Final = "restore it from a copy; or delete it and provenance.json, and `snakemake all` writes both anew"


def write_checksums(folder: Path, hashes: Mapping[str, str]) -> None:
    """Write the manifest of a folder. `hashes` are SHA-256 by path relative to the folder."""
    lines = [f"{sha256}  {name}\n" for name, sha256 in sorted(hashes.items())]
    atomic.write_text(folder / MANIFEST, "".join(lines))


def read_checksums(folder: Path) -> dict[str, str]:
    """Read the manifest of a folder; empty if there is none. Raises InputError if it is damaged, in whatever bit."""
    path = folder / MANIFEST
    try:
        text = untrusted_text.read_text(path, max_bytes=untrusted_text.MAX_TEXT_BYTES, error=InputError)
    except FileNotFoundError:
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        match = LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise InputError(f"line {number} of the checksums is damaged", file=path, remedy=REMEDY)
        found[match[2]] = match[1]
    if not text.endswith("\n") or list(found) != sorted(found):
        raise InputError("the checksums are damaged", file=path, remedy=REMEDY)
    return found


def mark_changed(tape: str) -> None:
    """Record in the working folder that results of a tape may have changed since its manifest was written."""
    (CHANGES / tape).parent.mkdir(parents=True, exist_ok=True)
    (CHANGES / tape).touch()


def is_changed(tape: str) -> bool:
    """Whether a job may have changed results of a tape since its manifest was written."""
    return (CHANGES / tape).exists()


def unmark_changed(tape: str) -> None:
    """Record that the manifest of a tape covers all results as they are.

    A mark that cannot be removed costs no more than the trust in file times.
    """
    with suppress(OSError):
        (CHANGES / tape).unlink()

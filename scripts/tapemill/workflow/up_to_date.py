"""Digests of finished tapes: a tape for which Snakemake found nothing to do is not planned again until it changes.

For a tape of 700 scenes Snakemake plans 2,800 jobs, in six seconds and 50 MiB. The plan depends on the settings, the
capture and the files of the results folder; a digest of these, taken before planning, shows later runs whether the plan
would be the same. It covers names, sizes and times of files, not their content.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.process import results_lease
from tapemill.records import known_content
from tapemill.storage import atomic

from .tape import DEMO_CAPTURE, TapeState

DIGESTS: Final = Path(".snakemake/tapemill/settled")
INCOMPLETE: Final = Path(".snakemake/incomplete")
ROOT: Final = Path(__file__).parents[3]


@dataclass(frozen=True)
class TapeDigest:
    """Digests of everything on which the plan of a tape depends."""

    settings: str
    """Of settings, models, rules and code."""
    files: str


def digest_of(state: TapeState, settings: Mapping[str, Any]) -> TapeDigest | None:
    """Return the digest of a tape now. `settings` are the plain values on which its jobs depend besides files.

    None for a tape that has no digest: its capture is missing, or made by a rule.
    """
    if str(state.row.source) == DEMO_CAPTURE:
        return None
    try:
        # With the inode and its time: another file may have the same size and time.
        lines = [known_content.file_state(file) for file in state.files]
    except OSError:
        return None
    lines += sorted(_line(name, about) for name, about in _below(str(state.paths.folder)))
    return TapeDigest(_digest(json.dumps(settings, sort_keys=True, default=str)), _digest("\n".join(lines)))


def read_digest(tape: str) -> TapeDigest | None:
    """Read the digest with which a tape had nothing to do; None if there is none."""
    try:
        return TapeDigest(**json.loads(_path(tape).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_digest(tape: str, digest: TapeDigest) -> None:
    """Record that Snakemake found nothing to do for a tape with this digest, taken before planning."""
    # Without the record the tape is planned again.
    with suppress(OSError):
        atomic.write_json(_path(tape), vars(digest))


def invalidate(tapes: Iterable[str]) -> None:
    """Delete the digests of tapes, because jobs of them are about to run."""
    for tape in tapes:
        with suppress(FileNotFoundError):
            _path(tape).unlink()


def interrupted(folder: Path = INCOMPLETE) -> set[str]:
    """Outputs of jobs that started and did not end, by Snakemake's markers (9.27.1, `persistence/file.py`)."""
    markers = (path for path in folder.rglob("*") if path.is_file())
    keys = ("".join(part.removeprefix("@") for part in path.relative_to(folder).parts) for path in markers)
    return {urlsafe_b64decode(key).decode(errors="replace") for key in keys if len(key) % 4 == 0}


def code_digest() -> str:
    """Digest of the code that decides what a job depends on: rules, library, schemas, and Snakemake's version.

    It covers contents, not times, so that switching branches back and forth changes nothing.
    """
    import snakemake

    digest = hashlib.sha256(str(snakemake.__version__).encode())
    sources = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    sources += sorted((ROOT / "scripts").rglob("*.py")) + sorted((ROOT / "config" / "schemas").glob("*.yaml"))
    for source in sources:
        digest.update(str(source.relative_to(ROOT)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _path(tape: str) -> Path:
    return DIGESTS / f"{tape}.json"


def _below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """All files in and below a folder. Fast, because a tape has thousands."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name == results_lease.LEASE:
            continue
        if entry.is_dir():
            yield from _below(entry.path)
        else:
            # A broken link has a state, too.
            try:
                yield entry.path, entry.stat()
            except OSError:
                yield entry.path, entry.stat(follow_symlinks=False)


def _line(name: str, about: os.stat_result) -> str:
    return f"{about.st_size} {about.st_mtime_ns} {name}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

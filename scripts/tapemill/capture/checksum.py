"""SHA-256 of a capture: computed once, and reused while its fingerprint stays the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from tapemill.core.errors import printable
from tapemill.records import job_records
from tapemill.records.capture import CaptureHashes, HashedFile
from tapemill.storage import atomic, fingerprint

from .validation import ensure_not_growing

LOG = logging.getLogger("tapemill.provenance")


def hash_capture(*, sources: Sequence[Path], target: Path) -> None:
    """Write size, fingerprint and SHA-256 of each file of a capture, in their order, as JSON.

    Files whose fingerprint is in an earlier `target` are not read again: 100 GB take minutes. Raises InputError if a
    file changes meanwhile.
    """
    before = job_records.read(CaptureHashes, target)
    known = {file.fingerprint: file for file in before.files} if before else {}
    with ensure_not_growing(sources):
        hashed = tuple(_hash(source, known) for source in sources)
    atomic.write_json(target, CaptureHashes(hashed).to_plain())


def _hash(source: Path, known: Mapping[str, HashedFile]) -> HashedFile:
    digest = fingerprint.fingerprint(source)
    before = known.get(digest)
    sha256 = before.sha256 if before else fingerprint.sha256(source)
    LOG.info("%s  %s%s", sha256, printable(source.name), " (known already)" if before else "")
    return HashedFile(
        name=source.name.encode("utf-8", "backslashreplace").decode(),
        size_bytes=source.stat().st_size,
        fingerprint=digest,
        sha256=sha256,
    )

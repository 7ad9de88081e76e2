"""SHA-256 of a capture: computed once, and reused while its fingerprint stays the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tapemill.core.errors import printable
from tapemill.storage import atomic, fingerprint, job_records

from .validation import ensure_not_growing

LOG = logging.getLogger("tapemill.provenance")


def hash_capture(*, sources: Sequence[Path], target: Path) -> None:
    """Write size, fingerprint and SHA-256 of each file of a capture, in their order, as JSON.

    Files whose fingerprint is in an earlier `target` are not read again: 100 GB take minutes. Raises InputError if a
    file changes meanwhile.
    """
    known = {file["fingerprint"]: file for file in job_records.read(target).get("files", ())}
    with ensure_not_growing(sources):
        hashed = [_hash(source, known) for source in sources]
    atomic.write_json(target, {"files": hashed})


def _hash(source: Path, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    digest = fingerprint.fingerprint(source)
    before = known.get(digest)
    sha256 = before["sha256"] if before else fingerprint.sha256(source)
    LOG.info("%s  %s%s", sha256, printable(source.name), " (known already)" if before else "")
    return {
        "name": source.name.encode("utf-8", "backslashreplace").decode(),
        "size_bytes": source.stat().st_size,
        "fingerprint": digest,
        "sha256": sha256,
    }

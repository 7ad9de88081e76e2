"""SHA-256 of a capture: computed once, and again only when something suggests that the content may be another."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tapemill.core.errors import InputError, printable
from tapemill.records import job_records, known_content
from tapemill.records.capture import CaptureHashes, CheckedCapture, CheckedFile, HashedFile
from tapemill.storage import atomic, fingerprint

from .validation import ensure_not_growing

LOG = logging.getLogger("tapemill.provenance")


def hash_capture(*, tape: str, sources: Sequence[Path], target: Path) -> None:
    """Write size, fingerprint and SHA-256 of each file of a capture, in their order, as JSON.

    Files that were read before and have not changed since are not read again: 100 GB take minutes. Raises InputError if
    a file changes meanwhile, or has changed since it was probed.
    """
    before = job_records.read(CaptureHashes, target)
    checked = _read_files(tape, sources, before)
    if before is None:
        _require_as_probed(tape, sources, checked)
    files = (
        HashedFile(
            name=source.name.encode("utf-8", "backslashreplace").decode(),
            size_bytes=source.stat().st_size,
            fingerprint=file.fingerprint,
            sha256=file.sha256,
        )
        for source, file in zip(sources, checked.files, strict=True)
    )
    atomic.write_json(target, CaptureHashes(tuple(files)).to_plain())
    known_content.vouch(checked, known_content.check_file(tape, known_content.capture_state(sources)))


def check_capture(*, tape: str, sources: Sequence[Path], record: Path, target: Path) -> None:
    """Read a capture of another path, time or inode than before, and write `target` if its content is that of `record`.

    Raises InputError if it has other content; the next plan has its fingerprint.
    """
    before = job_records.read(CaptureHashes, record)
    checked = _read_files(tape, sources, before)
    made_of = [(file.fingerprint, file.sha256) for file in before.files] if before else []
    if [(file.fingerprint, file.sha256) for file in checked.files] == made_of:
        known_content.vouch(checked, target)
        return
    known_content.note_changed(tape, checked, known_content.capture_state(sources))
    changed = [source for source, file in zip(sources, checked.files, strict=True) if _is_new(file, made_of)]
    raise InputError(
        f"this capture has other content than that which {tape} was made of, although its size and the blocks that were"
        " sampled are the same",
        file=changed[0] if changed else sources[0],
        remedy=f"run the same command again to make {tape} anew from it; or put the right file in its place first, and"
        " nothing is made again",
    )


def _require_as_probed(tape: str, sources: Sequence[Path], checked: CheckedCapture) -> None:
    """Raise InputError for files that changed since the probe; from the next plan on they are other content."""
    replaced = known_content.replaced_since_probe(tape, sources)
    if not replaced:
        return
    files = (
        replace(file, fingerprint=f"{file.fingerprint}-{file.sha256[:16]}") if source in replaced else file
        for source, file in zip(sources, checked.files, strict=True)
    )
    known_content.note_changed(tape, CheckedCapture(tuple(files)), known_content.capture_state(sources))
    raise InputError(
        f"this capture was written to or replaced after {tape} was begun, before its content was read",
        file=replaced[0],
        remedy=f"run the same command again to make {tape} anew from it",
    )


def _is_new(file: CheckedFile, made_of: Sequence[tuple[str, str]]) -> bool:
    return (file.fingerprint, file.sha256) not in made_of


def _read_files(tape: str, sources: Sequence[Path], before: CaptureHashes | None) -> CheckedCapture:
    known = known_content.checked_files(tape)
    with ensure_not_growing(sources):
        return CheckedCapture(tuple(_read_file(source, known, before) for source in sources))


def _read_file(source: Path, known: Mapping[str, CheckedFile], before: CaptureHashes | None) -> CheckedFile:
    state = known_content.file_state(source)
    earlier = known.get(state)
    sha256 = earlier.sha256 if earlier else fingerprint.sha256(source)
    LOG.info("%s  %s%s", sha256, printable(source.name), " (known already)" if earlier else "")
    if earlier and before is None:
        # Also one that was replaced since its probe, and has a longer fingerprint.
        return earlier
    found = known_content.identity(fingerprint.fingerprint(source), sha256, before)
    return CheckedFile(state=state, fingerprint=found, sha256=sha256)

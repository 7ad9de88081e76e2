"""Content of captures that was read to its end: hashes by path, size, times and inode of the files.

A capture is its content, of which the fingerprint covers some blocks. It is read to its end once. After that its state
vouches for it; with another state the rule `check_capture` reads it again. States are facts of this machine: they are
kept with the working folder and not with the results.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from tapemill.storage import atomic, mounts

from . import job_records
from .capture import CaptureHashes, CheckedCapture, CheckedFile, ProbedCapture, ProbedFile

CHECKS: Final = Path(".snakemake/tapemill/captures")
CHANGED: Final = ".changed"
"""Before the suffix, for content of which the tape was not made."""
PROBED: Final = "probed"
"""Name, without a suffix, of the record of the files that were probed."""
# Inodes are numbered anew with each mount, and there may be no time of the inode.
WITHOUT_INODES: Final = mounts.CLOUD | {"cifs", "exfat", "msdos", "smb3", "vfat"}


def file_state(path: Path) -> str:
    """Return a digest of path, size, time and, where the file system keeps them, inode and time of the inode.

    Unlike the modification time, the time of the inode cannot be set back. Raises FileNotFoundError.
    """
    about = path.stat()
    state = [str(path), about.st_size, about.st_mtime_ns]
    if _has_inodes(about.st_dev, path.parent):
        state += [about.st_ino, about.st_ctime_ns]
    return _digest(str(state))


def capture_state(files: Iterable[Path]) -> str:
    """Return a digest of the states of all files of a capture. Raises FileNotFoundError."""
    return _digest(" ".join(map(file_state, files)))


def check_file(tape: str, state: str) -> Path:
    """Return the path of the record that vouches for a capture with this state."""
    return CHECKS / tape / f"{state}.json"


def has_checks(tape: str) -> bool:
    """Whether a capture of the tape was ever checked here: not for a tape of an older version, or of another folder."""
    return any((CHECKS / tape).glob("*.json"))


def vouch(checked: CheckedCapture, target: Path) -> None:
    """Record content that a tape is made of as `target`; older records of the tape are removed."""
    atomic.write_json(target, checked.to_plain())
    for older in target.parent.glob("*.json"):
        if older != target:
            older.unlink(missing_ok=True)


def note_changed(tape: str, checked: CheckedCapture, state: str) -> None:
    """Record content that the tape is not made of: from the next plan on, the fingerprints are these."""
    atomic.write_json(check_file(tape, state + CHANGED), checked.to_plain())


def note_probed(tape: str, files: Iterable[Path]) -> None:
    """Record the states of the files that were just probed: no hash vouches for them yet."""
    atomic.write_json(CHECKS / tape / PROBED, ProbedCapture(tuple(map(_probed_file, files))).to_plain())


def replaced_since_probe(tape: str, files: Sequence[Path]) -> list[Path]:
    """Return the files that may have other content than those that were probed; none if the probe left no record.

    A file at another path is the same if size and time are: it was moved. At its path it is the same only if nothing
    has touched it.
    """
    record = job_records.read(ProbedCapture, CHECKS / tape / PROBED)
    if record is None or len(record.files) != len(files):
        return []
    return [file for file, probed in zip(files, record.files, strict=True) if not _is_same(_probed_file(file), probed)]


def changed_files(tape: str) -> Mapping[str, CheckedFile]:
    """Return files, by state, that have other content than the tape was made of."""
    return _read((CHECKS / tape).glob(f"*{CHANGED}.json"))


def checked_files(tape: str) -> Mapping[str, CheckedFile]:
    """Return all files, by state, that were read to their end."""
    return _read((CHECKS / tape).glob("*.json"))


def identity(sampled: str, sha256: str, before: CaptureHashes | None) -> str:
    """Return the fingerprint of a file with this SHA-256: the sampled one, or longer if that is of other content.

    `before` is the record of the content that the tape is made of.
    """
    of_others = False
    for file in before.files if before else ():
        if sampled_part(file.fingerprint) == sampled:
            if file.sha256 == sha256:
                return file.fingerprint
            of_others = True
    return f"{sampled}-{sha256[:16]}" if of_others else sampled


def sampled_part(fingerprint: str) -> str:
    """Return the part of a file's fingerprint that is size and hash of some blocks."""
    return "-".join(fingerprint.split("-")[:2])


def recorded_identities(record: CaptureHashes | None) -> Mapping[str, str]:
    """Return the fingerprints in a record by their sampled parts."""
    return {sampled_part(file.fingerprint): file.fingerprint for file in record.files} if record else {}


def was_unchanged_since(record: Path, files: Sequence[Path]) -> bool:
    """Whether no file is newer than the record of its hashes, which was written after it was read."""
    written_ns = record.stat().st_mtime_ns
    return all(max(about.st_mtime_ns, about.st_ctime_ns) <= written_ns for about in map(Path.stat, files))


def _read(paths: Iterable[Path]) -> dict[str, CheckedFile]:
    records = (job_records.read(CheckedCapture, path) for path in sorted(paths))
    return {file.state: file for record in records if record for file in record.files}


def _probed_file(file: Path) -> ProbedFile:
    about = file.stat()
    return ProbedFile(str(file.absolute()), about.st_size, about.st_mtime_ns, file_state(file.absolute()))


def _is_same(now: ProbedFile, probed: ProbedFile) -> bool:
    if now.path == probed.path:
        return now.state == probed.state
    return (now.size_bytes, now.modified_ns) == (probed.size_bytes, probed.modified_ns)


@cache
def _has_inodes(_device: int, folder: Path) -> bool:
    mount = mounts.mount_of(folder)
    return mount is not None and mount.kind not in WITHOUT_INODES and not mount.kind.startswith("fuse")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]

"""Record of a capture's hashes (`capture_sha256.json`)."""

from __future__ import annotations

from dataclasses import dataclass

from tapemill.storage.typed_json import JsonRecord

from .common import Count, Sha256


@dataclass(frozen=True)
class HashedFile(JsonRecord):
    """One media file of the capture."""

    name: str
    """File name for display: bytes that are not UTF-8 are escaped."""
    size_bytes: Count
    fingerprint: str
    """Size and a hash of some blocks; the tape's tags name the capture by it."""
    sha256: Sha256


@dataclass(frozen=True)
class CaptureHashes(JsonRecord):
    """Hashes of a capture's files, in order; a folder of ready scenes has one for each."""

    files: tuple[HashedFile, ...]


@dataclass(frozen=True)
class CheckedFile(JsonRecord):
    """Media file of a capture that was read to its end."""

    state: str
    """Digest of path, size, times and inode (`records.known_content`)."""
    fingerprint: str
    sha256: Sha256


@dataclass(frozen=True)
class CheckedCapture(JsonRecord):
    """Files of a capture that were read to their end, in order."""

    files: tuple[CheckedFile, ...]


@dataclass(frozen=True)
class ProbedFile(JsonRecord):
    """Media file of a capture as it was when it was probed."""

    path: str
    size_bytes: Count
    modified_ns: Count
    state: str
    """Digest of path, size, times and inode (`records.known_content`)."""


@dataclass(frozen=True)
class ProbedCapture(JsonRecord):
    """Files of a capture as they were when it was probed, in order."""

    files: tuple[ProbedFile, ...]

"""Hashes and fingerprints of files, and the media files of a folder of scenes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from tapemill.core.errors import InputError

CHUNK_BYTES = 1 << 22
BLOCK_BYTES = 65_536
BLOCKS = 16
# Scene files in a folder are recognised by suffix, because the Snakefile is parsed without opening media.
MEDIA_SUFFIXES = frozenset(
    {
        *(".avi", ".dv", ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
        *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
    }
)


def sha256(path: Path, reached: Callable[[int], None] | None = None) -> str:
    """Return the SHA-256 of a file, hexadecimal. `reached` is called with the bytes read so far."""
    with path.open("rb") as stream:
        if reached is None:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            reached(stream.tell())
        return digest.hexdigest()


def fingerprint(path: Path, of_file: Callable[[Path], str] | None = None) -> str:
    """Return the size and a hash of a few blocks spread over the file: instant for 100 GB, and the same after copying.

    For a folder of scenes it is taken over the names and fingerprints of its files; `of_file` returns known ones. It
    distinguishes captures; it is no protection against forgery.
    """
    if path.is_dir():
        known = of_file or fingerprint
        parts = [f"{scene.name}:{known(scene)}".encode("utf-8", "surrogateescape") for scene in scene_files(path)]
        return f"{len(parts)}-{hashlib.sha256(b'/'.join(parts)).hexdigest()[:16]}"
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in range(BLOCKS):
            stream.seek(max(size - BLOCK_BYTES, 0) * block // (BLOCKS - 1))
            digest.update(stream.read(BLOCK_BYTES))
    return f"{size}-{digest.hexdigest()[:16]}"


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a sort key under which "clip 10" follows "clip 9"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.casefold()) if part]


def _stays_within(link: Path, root: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    # The latter for links in a circle, before Python 3.13.
    except (OSError, RuntimeError):
        return False


def scene_files(folder: Path) -> list[Path]:
    """List the media files of a folder of ready scenes, in natural order.

    Raises InputError for a symbolic link that leads out of the folder, or nowhere.
    """
    root = folder.resolve()
    found = []
    for path in folder.iterdir():
        if path.name.startswith(".") or path.suffix.lower() not in MEDIA_SUFFIXES:
            continue
        if path.is_symlink() and not _stays_within(path, root):
            raise InputError(
                "a scene file leads out of its folder, or nowhere",
                file=path,
                remedy="copy the file into the folder instead",
            )
        if path.is_file():
            found.append(path)
    # Names that differ in case or leading zeros only have equal keys: the name itself decides their order.
    return sorted(found, key=lambda path: (natural_key(path.name), path.name))

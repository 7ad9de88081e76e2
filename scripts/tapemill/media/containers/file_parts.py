"""Parts of a file: recordings that were joined byte by byte, each read as if it were a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PosixPath

from tapemill.storage.typed_json import JsonRecord


@dataclass(frozen=True)
class BytePart(JsonRecord):
    """Bytes [start, stop) of a file."""

    start: int
    stop: int


class FilePart(PosixPath):
    """Path of a file of which a reader sees one part only; for everything else it is the path of the file."""

    __slots__ = ("part",)
    part: BytePart

    @classmethod
    def of(cls, path: Path, part: BytePart) -> FilePart:
        """Make the path of a part."""
        made = cls(path)
        made.part = part
        return made


def part_of(path: Path) -> BytePart | None:
    """Return the part that a path stands for; None for the whole file."""
    return getattr(path, "part", None) if isinstance(path, FilePart) else None


def media_url(path: Path) -> str:
    """Return what libavformat opens a file or a part by."""
    part = part_of(path)
    return f"subfile,,start,{part.start},end,{part.stop},,:file:{path}" if part else f"file:{path}"

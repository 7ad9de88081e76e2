"""Give back the room of finished tapes: what is large and can be made again, nothing else.

What stays: captures, tapes, subtitles (somebody may have corrected them), tables, records, logs. They are small, and
say how the tape was made.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .disk_space import format_size

LOG = logging.getLogger("tapemill.storage")

RESULTS = Path("results")
# Of a tape's folder. Only plain files that Tapemill names: scenes have seven digits.
SCENE = "[0-9]" * 7
REMOVABLE = (f"enhanced/{SCENE}.mkv", f"scenes/{SCENE}.mkv", f"audio/{SCENE}.wav", "sound.mka")


@dataclass(frozen=True)
class Cleaned:
    """What was removed of one tape, or why nothing was."""

    tape: str
    files: int = 0
    freed_bytes: int = 0
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.tape}: left alone, {self.reason}"
        return f"{self.tape}: {self.files} files removed, {format_size(self.freed_bytes)}"


def clean(*, tapes: Sequence[str], container: str, results: Path = RESULTS) -> list[Cleaned]:
    """Clean up after each finished tape, and tell whoever is watching."""
    done = [clean_tape(results / tape, container) for tape in tapes]
    total = sum(tape.freed_bytes for tape in done)
    lines = [*map(str, done), f"{format_size(total)} are free again"]
    for line in lines:
        LOG.info("%s", line)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return done


def clean_tape(folder: Path, container: str) -> Cleaned:
    """Remove what can be made again of the tape in `folder`, if it is finished."""
    tape = folder.name
    files = list(_removable(folder))
    video, *subtitles = (folder / f"{tape}.{suffix}" for suffix in (container, "srt", "vtt"))
    if not all(path.is_file() for path in (video, *subtitles)):
        return Cleaned(tape, reason="it is not finished")
    made_ns = video.stat().st_mtime_ns
    if any(path.stat().st_mtime_ns > made_ns for path in [*files, *folder.glob("subtitles/*.srt")]):
        return Cleaned(tape, reason="parts of it are newer than the tape, so it will be made again of all of them")
    freed = 0
    for path in files:
        bytes_here = path.stat().st_size
        path.unlink()
        LOG.info("removed %s", path)
        freed += bytes_here
    return Cleaned(tape, len(files), freed)


def _removable(folder: Path) -> Iterator[Path]:
    """Files, never links: what a link leads to is somebody's own."""
    for pattern in REMOVABLE:
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file() and not path.is_symlink())

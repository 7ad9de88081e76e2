"""Removal of large intermediate files of finished tapes that can be made again, to free disk space.

Captures, tapes, subtitles (somebody may have corrected them), tables, records and logs stay. They are small, and
document how the tape was made.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapemill.core.errors import InputError
from tapemill.core.result_paths import CLIP, RESULTS, SCENE_CUT, SCENE_GLOB, SPEECH_AUDIO, SUBTITLES, TAPE_AUDIO
from tapemill.storage.disk_space import format_size

from .recorded import recorded_hashes
from .verify import check_file

LOG = logging.getLogger("tapemill.verification")

# Of a tape's folder. Only plain files that Tapemill names: scenes have seven digits.
REMOVABLE = (*(pattern.format(scene=SCENE_GLOB) for pattern in (CLIP, SCENE_CUT, SPEECH_AUDIO)), TAPE_AUDIO)


@dataclass(frozen=True)
class Cleaned:
    """Files removed for one tape, or the reason why none was."""

    tape: str
    files: int = 0
    freed_bytes: int = 0
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.tape}: not touched, {self.reason}"
        return f"{self.tape}: {self.files} files removed, {format_size(self.freed_bytes)}"


def clean(*, tapes: Sequence[str], container: str, results: Path = RESULTS) -> list[Cleaned]:
    """Remove the intermediate files of each finished tape; log and print what was freed."""
    cleaned = [clean_tape(results / tape, container) for tape in tapes]
    total = sum(tape.freed_bytes for tape in cleaned)
    lines = [*map(str, cleaned), f"{format_size(total)} are free again"]
    for line in lines:
        LOG.info("%s", line)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return cleaned


def clean_tape(folder: Path, container: str) -> Cleaned:
    """Remove the intermediate files of the tape in `folder`, if it is finished."""
    tape = folder.name
    files = list(_removable(folder))
    video, *subtitles = (folder / f"{tape}.{suffix}" for suffix in (container, "srt", "vtt"))
    if not all(path.is_file() for path in (video, *subtitles)):
        return Cleaned(tape, reason="it is not finished")
    tape_mtime_ns = video.stat().st_mtime_ns
    if any(path.stat().st_mtime_ns > tape_mtime_ns for path in [*files, *folder.glob(SUBTITLES.format(scene="*"))]):
        return Cleaned(tape, reason="parts of it are newer than the tape, so it will be made again of all of them")
    if reason := _fault(folder):
        return Cleaned(tape, reason=reason)
    freed = 0
    for path in files:
        size_bytes = path.stat().st_size
        path.unlink()
        LOG.info("removed %s", path)
        freed += size_bytes
    return Cleaned(tape, len(files), freed)


def _fault(folder: Path) -> str:
    """Say why the tape is not what was made of the files that would be removed; empty if it is. Reads all of it."""
    try:
        results = recorded_hashes(folder).results
    except InputError as error:
        return f"its record is damaged ({error.what})"
    if not results:
        return "nothing records its content; run `snakemake all` once"
    for name, sha256 in results.items():
        check = check_file(folder / name, sha256)
        if check.is_fault:
            return f"{name} is {check.state}: {check.detail}"
    return ""


def _removable(folder: Path) -> Iterator[Path]:
    """Yield removable files, never links: what a link leads to may belong to somebody else."""
    for pattern in REMOVABLE:
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file() and not path.is_symlink())

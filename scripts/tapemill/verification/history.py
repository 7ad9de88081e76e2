"""Notes of verifications in a working folder: when a tape was verified, and the state of its file then."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tapemill.storage import atomic

NOTES: Final = Path(".snakemake/tapemill/verified")


@dataclass(frozen=True)
class VerificationNote:
    """The last verification of a tape."""

    at: str
    """Date and time, UTC, ISO 8601."""
    faults: int
    """Files that were not what they were when they were recorded."""
    size_bytes: int
    mtime_ns: int


def write_note(tape: Path, faults: int) -> None:
    """Note that the tape with this file was verified now."""
    about = tape.stat()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    atomic.write_json(
        NOTES / f"{tape.parent.name}.json", asdict(VerificationNote(now, faults, about.st_size, about.st_mtime_ns))
    )


def read_note(tape: Path) -> VerificationNote | None:
    """Read the note on a tape; None if it was never verified in this working folder."""
    try:
        return VerificationNote(**json.loads((NOTES / f"{tape.parent.name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def is_unchanged(tape: Path, note: VerificationNote) -> bool:
    """Whether the tape's file has the size and time that it had when it was verified."""
    about = tape.stat()
    return (about.st_size, about.st_mtime_ns) == (note.size_bytes, note.mtime_ns)

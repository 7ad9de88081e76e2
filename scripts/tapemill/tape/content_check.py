"""Check of the clips and the audio against the hashes in their records, before they become part of the tape.

A bit that a disk flips changes frames without a sign: decoders conceal it. What differs is set aside, so that the next
run makes it anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tapemill.core.errors import GateError
from tapemill.records import job_records
from tapemill.records.audio import AudioRecord
from tapemill.records.clip import ClipRecord
from tapemill.storage import fingerprint

LOG = logging.getLogger("tapemill.tape")


def check_content(clips: Sequence[Path], audio: Path | None) -> dict[str, ClipRecord]:
    """Check clips and audio; return the clips' records by scene.

    Raises GateError after it has set aside those that differ from their records. A file without a record, or with one
    of an older version, has no hash and is taken as it is.
    """
    found = {clip.stem: job_records.read(ClipRecord, clip.with_suffix(".json")) for clip in clips}
    records = {scene: record for scene, record in found.items() if record is not None}
    changed = list(_changed(clips, records, audio))
    if not changed:
        return records
    aside = [_set_aside(path) for path in changed]
    names = ", ".join(path.name for path in changed[:5]) + (f" and {len(changed) - 5} more" if changed[5:] else "")
    raise GateError(
        f"{len(changed)} files have changed since they were made, and were not put into the tape: {names}",
        file=aside[0],
        remedy="check the disk; then run the same command again: they are made anew. What is kept as *.damaged.* can be"
        " deleted. If you put such a file there yourself, delete its record (.json) and move it back",
    )


def _changed(clips: Sequence[Path], records: Mapping[str, ClipRecord], audio: Path | None) -> Iterator[Path]:
    for clip in clips:
        record = records.get(clip.stem)
        if record and record.sha256 and fingerprint.sha256(clip) != record.sha256:
            yield clip
    if audio is not None:
        sound = job_records.read(AudioRecord, audio.with_suffix(".json"))
        if sound and sound.sha256 and fingerprint.sha256(audio) != sound.sha256:
            yield audio


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.stem}.damaged{path.suffix}")
    LOG.warning("%s has changed since it was made; it is kept as %s", path, aside.name)
    return path.replace(aside)

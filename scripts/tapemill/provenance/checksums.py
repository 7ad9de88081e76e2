"""Checksums of a finished tape: every file that makes it or documents it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Final

from tapemill.core import result_paths
from tapemill.records import job_records
from tapemill.storage import fingerprint
from tapemill.storage.checksums import write_checksums

OF_SCENES: Final = (result_paths.CLIP, result_paths.SPEECH_AUDIO, result_paths.SUBTITLES, result_paths.TRANSLATION)
# Of the tape's folder. Pages of the report are not among them: they are made again at any time.
PATTERNS: Final = (
    *("{tape}.mkv", "{tape}.mp4", "{tape}.srt", "{tape}.vtt", "{tape}.en.srt", "{tape}.en.vtt"),
    *(result_paths.PROVENANCE, "ro-crate-metadata.json", "Snakefile"),
    *(result_paths.RECIPE, result_paths.CAPTURE_RECORD, result_paths.CAPTURE_CHECKSUM),
    *("scenes.tsv", "scenes.edl", "scenes.csv", result_paths.LANGUAGE, result_paths.ENCODER),
    *(result_paths.TAPE_AUDIO, result_paths.AUDIO_RECORD),
    *(pattern.replace("{scene}", result_paths.SCENE_GLOB) for pattern in OF_SCENES),
    # Their records.
    *(str(PurePath(pattern.replace("{scene}", result_paths.SCENE_GLOB)).with_suffix(".json")) for pattern in OF_SCENES),
)


def write_tape_checksums(folder: Path, known: dict[Path, str]) -> int:
    """Write the checksums of a tape's files; return their number. `known` are hashes that were just taken.

    The hash of a clip or of the audio is that of its record, which was taken when it was written: taking it anew would
    certify what happened to the file since.
    """
    hashes = {}
    for path in _files(folder):
        sha256 = known.get(path) or recorded_sha256(path) or fingerprint.sha256(path)
        hashes[path.relative_to(folder).as_posix()] = sha256
    write_checksums(folder, hashes)
    return len(hashes)


def _files(folder: Path) -> Iterator[Path]:
    for pattern in PATTERNS:
        yield from (path for path in sorted(folder.glob(pattern.format(tape=folder.name))) if path.is_file())


def recorded_sha256(path: Path) -> str | None:
    """Return the hash that the record of a clip, or of the audio, has of its file."""
    folder = path.parent
    if path.name == result_paths.TAPE_AUDIO:
        audio = job_records.audio_record(folder)
        return audio.sha256 if audio else None
    if folder.name == "enhanced" and path.suffix == ".mkv":
        clip = job_records.clip_record(folder.parent, path.stem)
        return clip.sha256 if clip else None
    return None

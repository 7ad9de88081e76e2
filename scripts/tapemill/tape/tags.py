"""Tags of the tape's file: title, date, languages, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import langcodes

from tapemill.media.ffmpeg import version
from tapemill.records import job_records, tape_tags
from tapemill.records.tape_tags import TAG_PREFIX


@dataclass(frozen=True)
class TapeDescription:
    """Description of the tape as a whole. Empty texts are omitted from the file."""

    title: str = ""
    date: str = ""
    """Date of recording, as written in the sheet."""
    language: str = ""
    """Of audio tracks without a language: ISO 639 of any kind, "" or "auto" for unknown."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """How it was made; the names are written in capitals with the prefix TAPEMILL_."""


def build_tags(clips: Sequence[Path], config: Mapping[str, Any]) -> dict[str, str]:
    """Tags on how the tape was made: versions and digests, from the records beside the clips and of this muxer.

    Read when the tape is muxed, not a param of the rule: a new version of a program is no reason to mux again.
    """
    folder, scenes = clips[0].parent.parent, [clip.stem for clip in clips]
    used = job_records.programs_used(folder, scenes) | {"tape": {"av": [version.package_version("av")]}}
    return {
        "version": version.tapemill_version(),
        "programs": tape_tags.format_programs(used),
        "settings": tape_tags.digests_of_settings(config),
        "pictures": tape_tags.digest_of_clips(folder, scenes),
    }


def language_code(language: str, container: str) -> str:
    """Language code of the container: ISO 639-2/B in Matroska ("ger"), 639-2/T in MP4 ("deu"); "und" if unknown.

    `language` is two or three letters or a BCP 47 tag, from the sheet, the capture or Whisper.
    """
    try:
        return langcodes.get(language).to_alpha3(variant="B" if container == "mkv" else "T")
    except (LookupError, ValueError):
        return "und"


def container_tags(description: TapeDescription, container: str) -> dict[str, str]:
    """Tags of the whole file.

    In Matroska the date of recording is DATE_RECORDED, but players that use ffmpeg's names show `date`: both are
    written. MP4 has a fixed set of tags, so there `tags` are in the comment, one per line.
    """
    made = {f"{TAG_PREFIX}{name.upper()}": text for name, text in sorted(description.tags.items()) if text}
    tags = {"title": description.title, "date": description.date}
    if container == "mkv":
        tags |= {"DATE_RECORDED": description.date, **made}
    else:
        tags["comment"] = "\n".join(f"{name}={text}" for name, text in made.items())
    return {name: text for name, text in tags.items() if text}

"""What the tape's file says about itself: title, date, languages, and the facts of how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import langcodes

from tapemill.media.ffmpeg import version
from tapemill.storage import job_records
from tapemill.storage.job_records import TAG_PREFIX


@dataclass(frozen=True)
class TapeDescription:
    """The tape as a whole. Empty texts are left out of the file."""

    title: str = ""
    date: str = ""
    """When it was recorded, as the sheet says it."""
    language: str = ""
    """Of sound tracks that do not say: ISO 639 of any kind, "" or "auto" for unknown."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Facts of how it was made; their names get the prefix TAPEMILL_ and capitals."""


def build_tags(clips: Sequence[Path], config: Mapping[str, Any]) -> dict[str, str]:
    """What the records beside the clips say of how they were made, shortened, and what puts the tape together.

    Found out when the tape is made, and never a reason to make it again: another version of a program would be one.
    """
    folder, scenes = clips[0].parent.parent, [clip.stem for clip in clips]
    used = job_records.programs_used(folder, scenes) | {"tape": {"av": [version.package_version("av")]}}
    return {
        "version": version.tapemill_version(),
        "programs": job_records.as_text(used),
        "settings": job_records.digests_of_settings(config),
        "pictures": job_records.digest_of_clips(folder, scenes),
    }


def language_code(language: str, container: str) -> str:
    """A language as the container wants it: ISO 639-2/B in Matroska ("ger"), 639-2/T in MP4 ("deu"); "und" if unknown.

    Takes two or three letters or a BCP 47 tag, whatever is in the sheet, the capture or Whisper's answer.
    """
    try:
        return langcodes.get(language).to_alpha3(variant="B" if container == "mkv" else "T")
    except (LookupError, ValueError):
        return "und"


def container_tags(facts: TapeDescription, container: str) -> dict[str, str]:
    """Tags of the whole file.

    Matroska names the day of recording DATE_RECORDED, players that go by ffmpeg's names show `date`: both are written.
    MP4 knows a fixed set of tags only, so there the facts stand in the comment, one a line.
    """
    made = {f"{TAG_PREFIX}{name.upper()}": text for name, text in sorted(facts.tags.items()) if text}
    tags = {"title": facts.title, "date": facts.date}
    if container == "mkv":
        tags |= {"DATE_RECORDED": facts.date, **made}
    else:
        tags["comment"] = "\n".join(f"{name}={text}" for name, text in made.items())
    return {name: text for name, text in tags.items() if text}

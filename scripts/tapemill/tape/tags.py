"""What the tape's file says about itself: title, date, languages, and the facts of how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import langcodes

PREFIX = "TAPEMILL_"


@dataclass(frozen=True)
class TapeFacts:
    """The tape as a whole. Empty texts are left out of the file."""

    title: str = ""
    date: str = ""
    """When it was recorded, as the sheet says it."""
    language: str = ""
    """Of sound tracks that do not say: ISO 639 of any kind, "" or "auto" for unknown."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Facts of how it was made; their names get the prefix TAPEMILL_ and capitals."""


def language_code(language: str, container: str) -> str:
    """A language as the container wants it: ISO 639-2/B in Matroska ("ger"), 639-2/T in MP4 ("deu"); "und" if unknown.

    Takes two or three letters or a BCP 47 tag, whatever is in the sheet, the capture or Whisper's answer.
    """
    try:
        return langcodes.get(language).to_alpha3(variant="B" if container == "mkv" else "T")
    except (LookupError, ValueError):
        return "und"


def container_tags(facts: TapeFacts, container: str) -> dict[str, str]:
    """Tags of the whole file.

    Matroska names the day of recording DATE_RECORDED, players that go by ffmpeg's names show `date`: both are written.
    MP4 knows a fixed set of tags only, so there the facts stand in the comment, one a line.
    """
    made = {f"{PREFIX}{name.upper()}": text for name, text in sorted(facts.tags.items()) if text}
    tags = {"title": facts.title, "date": facts.date}
    if container == "mkv":
        tags |= {"DATE_RECORDED": facts.date, **made}
    else:
        tags["comment"] = "\n".join(f"{name}={text}" for name, text in made.items())
    return {name: text for name, text in tags.items() if text}

"""SubRip and WebVTT files: writing, and reading with pysubs2.

pysubs2 is imported where it is used: the job script of a scene only dispatches its work and imports this module too.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tapemill.core.errors import SceneError
from tapemill.core.timing import timestamp
from tapemill.storage import untrusted_text

from .sanitise import safe_text, vtt_text

# As tolerant as pysubs2: short fields and a full stop are common in files edited by hand.
_TIME = r"\d{1,2}:\d{1,2}:\d{1,2}[.,]\d{1,3}"
TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(\s.*)?")
LOOKS_LIKE_TIMING = re.compile(rf"-->|^\s*{_TIME}")


@dataclass(frozen=True)
class Cue:
    """Text that is shown from one time to another, in whole milliseconds."""

    start_ms: int
    stop_ms: int
    text: str
    """Safe text (`sanitise.safe_text`), lines divided by line feeds."""


def as_srt(cues: Iterable[Cue]) -> str:
    """The content of an SRT file."""
    return "".join(_numbered_cues(cues, ","))


def as_vtt(cues: Iterable[Cue]) -> str:
    """The content of a WebVTT file."""
    cues = (Cue(cue.start_ms, cue.stop_ms, vtt_text(cue.text)) for cue in cues)
    return "".join(["WEBVTT\n\n", *_numbered_cues(cues, ".")])


def _numbered_cues(cues: Iterable[Cue], decimal: str) -> Iterator[str]:
    # Not by pysubs2: it reads braces and backslashes in the text as styles, and takes hours for a million of them.
    for number, cue in enumerate(cues, 1):
        start, stop = (timestamp(Fraction(ms, 1000), decimal) for ms in (cue.start_ms, cue.stop_ms))
        yield f"{number}\n{start} --> {stop}\n{cue.text}\n\n"


def read_srt(path: Path) -> list[Cue]:
    """Read the cues of an SRT file in order of time, tolerant of hand-written files; cues without text are dropped.

    Raises SceneError naming file and line of anything ambiguous.
    """
    import pysubs2

    content = _decoded(path)
    lines = content.split("\n")
    _check_lines(lines, path)
    # pysubs2 takes a number in the last line for the index of the next cue; it may be spoken text ("1984").
    file = pysubs2.SSAFile.from_string(content + "\n\n0\n", format_="srt", keep_html_tags=True)
    cues = [Cue(event.start, event.end, safe_text(event.text, markup=True)) for event in file]
    return sorted((cue for cue in cues if cue.text), key=lambda cue: (cue.start_ms, cue.stop_ms))


def _decoded(path: Path) -> str:
    data = untrusted_text.read_bytes(path, max_bytes=untrusted_text.MAX_TEXT_BYTES, error=SceneError)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _malformed(
            path, line, "a character is not UTF-8", "save the file as UTF-8 (a choice of the editor)"
        ) from error
    return text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _check_lines(lines: list[str], path: Path) -> None:
    timed = False
    for number, line in enumerate(lines, start=1):
        if LOOKS_LIKE_TIMING.search(line):
            _check_timing(line, path, number)
            timed = True
        elif not timed and line.strip() and not line.strip().isdecimal():
            raise _malformed(path, number, f"text before the first times: {line.strip()[:60]!r}")


def _check_timing(line: str, path: Path, number: int) -> None:
    import pysubs2

    if not TIMING.fullmatch(line):
        raise _malformed(path, number, f"these times cannot be read: {line.strip()[:60]!r}")
    start, stop = (pysubs2.time.timestamp_to_ms(found) for found in pysubs2.time.TIMESTAMP.findall(line)[:2])
    if stop <= start:
        raise _malformed(path, number, f"the cue does not end after its start: {line.strip()[:60]!r}")


def _malformed(path: Path, line: int, what: str, remedy: str | None = None) -> SceneError:
    return SceneError(
        f"line {line} of the subtitles: {what}",
        file=path,
        remedy=remedy or "write the line as 00:00:01,500 --> 00:00:03,000, or delete the file to have it made again",
    )

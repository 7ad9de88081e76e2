"""Join the cues of all scenes into the subtitles of the tape."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from tapemill.core.job_warnings import JobWarning
from tapemill.core.timing import milliseconds
from tapemill.records import job_records
from tapemill.records.subtitles import SubtitleRecord
from tapemill.storage import atomic

from .srt import Cue, as_srt, as_vtt, read_srt

LOG = logging.getLogger("tapemill.subtitles")

# A cue that is shorter than this after the gap was made would only flicker: it is merged with its neighbour.
FLICKER_MS = 200


def join_subtitles(
    *,
    cues: Sequence[Path],
    starts_s: Sequence[Fraction],
    durations_s: Sequence[Fraction],
    srt: Path,
    vtt: Path,
    gap_s: Fraction,
) -> list[JobWarning]:
    """Write SRT and WebVTT of the tape from the SRT files of its scenes, corrected by hand or not.

    Each cue is shifted at the exact start of its scene plus its own milliseconds, rounded once; it ends with its scene,
    and `gap_s` seconds before the next cue. Returns a warning for each scene that has no subtitles because it failed.
    Raises SceneError naming file and line of an SRT that cannot be read.
    """
    shifted: list[Cue] = []
    for path, start_s, duration_s in zip(cues, starts_s, durations_s, strict=True):
        shifted.extend(_shifted(read_srt(path), start_s, duration_s, path))
    separate = _with_gaps(shifted, math.ceil(gap_s * 1000))
    atomic.write_text(srt, as_srt(separate))
    atomic.write_text(vtt, as_vtt(separate))
    notices = list(_failed_scenes(cues))
    for notice in notices:
        LOG.warning("scene %s has no subtitles: %s", notice.scene, notice.reason)
    return notices


def _failed_scenes(cues: Iterable[Path]) -> Iterator[JobWarning]:
    """Warnings of failed scenes, from the records beside the SRT files. Cues written by hand since cancel a failure."""
    for path in cues:
        record = None if path.stat().st_size else job_records.read(SubtitleRecord, path.with_suffix(".json"))
        if record:
            yield from (each for each in record.warnings(path.stem) if each.kind == "empty")


def _shifted(cues: Iterable[Cue], start_s: Fraction, duration_s: Fraction, path: Path) -> Iterable[Cue]:
    for cue in cues:
        if Fraction(cue.start_ms, 1000) >= duration_s:
            LOG.warning("%s: the cue %r starts after its scene and is left out", path, cue.text)
            continue
        stop_s = min(Fraction(cue.stop_ms, 1000), duration_s)
        yield Cue(milliseconds(start_s + Fraction(cue.start_ms, 1000)), milliseconds(start_s + stop_s), cue.text)


def _with_gaps(cues: Sequence[Cue], gap_ms: int) -> list[Cue]:
    """Cues with the gap between them: the earlier one ends sooner, or takes over the text of the later one."""
    separate: list[Cue] = []
    # Joined at the end: merging thousands of cues one by one would copy the text each time.
    texts: list[list[str]] = []
    for cue in cues:
        if separate and separate[-1].stop_ms + gap_ms > cue.start_ms:
            before = separate[-1]
            stop_ms = cue.start_ms - gap_ms
            # A cue that was shorter from the start is not merged for that.
            if stop_ms - before.start_ms < min(FLICKER_MS, before.stop_ms - before.start_ms):
                separate[-1] = replace(before, stop_ms=max(before.stop_ms, cue.stop_ms))
                texts[-1].append(cue.text)
                continue
            separate[-1] = replace(before, stop_ms=stop_ms)
        separate.append(cue)
        texts.append([cue.text])
    return [replace(cue, text="\n".join(text)) for cue, text in zip(separate, texts, strict=True)]

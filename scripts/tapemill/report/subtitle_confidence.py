"""Review of a tape's subtitles: confidence of each cue, and dropped segments."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from tapemill.core.errors import SceneError
from tapemill.core.timing import FrameRange, milliseconds
from tapemill.records import job_records
from tapemill.records.speech import Segment
from tapemill.records.subtitles import SubtitleRecord
from tapemill.subtitles.srt import Cue, read_srt

LOG = logging.getLogger("tapemill.report")

# A cue whose words have a lower mean probability is worth a check. Whisper itself rejects text at e^-1, 0.37.
DOUBTFUL: Final = 0.5


@dataclass(frozen=True)
class SubtitleReview:
    """Subtitles of a tape as shown on the page."""

    cues: tuple[ReviewedCue, ...]
    dropped: tuple[DroppedSegment, ...]
    by_hand: tuple[str, ...]
    """Scenes with subtitles corrected by hand, which have no confidence."""

    @property
    def doubtful(self) -> int:
        """Number of cues worth a check."""
        return sum(cue.is_doubtful for cue in self.cues)


@dataclass(frozen=True)
class ReviewedCue:
    """Cue of the tape with its confidence."""

    start_s: float
    stop_s: float
    scene: str
    text: str
    confidence: float | None
    """Mean probability of its words, 0 to 1; None if it was not made by the recogniser."""

    @property
    def is_doubtful(self) -> bool:
        """Whether it is worth a check."""
        return self.confidence is not None and self.confidence < DOUBTFUL


@dataclass(frozen=True)
class DroppedSegment:
    """Segment that the hallucination filter dropped."""

    start_s: float
    scene: str
    text: str
    reason: str


def review_subtitles(*, srt: Path, records: Path, scenes: Mapping[str, FrameRange], rate: Fraction) -> SubtitleReview:
    """Read the cues of the tape's `srt`, each with the confidence of the segments it was made of.

    `records` is the folder of the scenes' records (`subtitles/`), `scenes` their frame ranges at `rate`. Cues of scenes
    whose record is missing or damaged have no confidence.
    """
    cues: list[ReviewedCue] = []
    dropped: list[DroppedSegment] = []
    by_hand: list[str] = []
    by_scene = _by_scene(_cues(srt), scenes, rate)
    for name, span in scenes.items():
        record = job_records.read(SubtitleRecord, records / f"{name}.json") or SubtitleRecord()
        start_ms = milliseconds(span.start_s(rate))
        if record.note:
            by_hand.append(name)
        segments = [] if record.note else list(_segments(record, start_ms))
        cues += [_reviewed(cue, name, segments) for cue in by_scene.get(name, ())]
        for removed in record.removed or ():
            start_s = (start_ms + removed.start_ms) / 1000
            dropped.append(DroppedSegment(start_s, name, removed.text, removed.reason))
    return SubtitleReview(tuple(cues), tuple(dropped), tuple(by_hand))


def confidence(segment: Segment) -> float:
    """Mean probability of the words of a segment; without word times, the geometric mean of its tokens."""
    if segment.words:
        return sum(word.probability for word in segment.words) / len(segment.words)
    return math.exp(min(0.0, segment.avg_logprob))


def _by_scene(cues: Iterable[Cue], scenes: Mapping[str, FrameRange], rate: Fraction) -> dict[str, list[Cue]]:
    """Cues by the scene that they begin in."""
    starts = [(milliseconds(span.start_s(rate)), name) for name, span in scenes.items()]
    found: dict[str, list[Cue]] = {}
    index = 0
    for cue in cues:
        while index + 1 < len(starts) and starts[index + 1][0] <= cue.start_ms:
            index += 1
        found.setdefault(starts[index][1], []).append(cue)
    return found


def _reviewed(cue: Cue, scene: str, segments: Sequence[tuple[int, int, float]]) -> ReviewedCue:
    """A cue with the confidence of the segments it overlaps, weighted by the overlap."""
    overlaps = [(min(cue.stop_ms, stop) - max(cue.start_ms, start), value) for start, stop, value in segments]
    overlaps = [(overlap, value) for overlap, value in overlaps if overlap > 0]
    total = sum(overlap for overlap, _ in overlaps)
    mean = sum(overlap * value for overlap, value in overlaps) / total if total else None
    return ReviewedCue(cue.start_ms / 1000, cue.stop_ms / 1000, scene, cue.text, mean)


def _segments(record: SubtitleRecord, start_ms: int) -> Iterator[tuple[int, int, float]]:
    """Segments of a record as start and end on the tape in milliseconds, and confidence."""
    for segment in record.heard.segments if record.heard else ():
        yield start_ms + segment.start_ms, start_ms + segment.stop_ms, confidence(segment)


def _cues(srt: Path) -> list[Cue]:
    try:
        return read_srt(srt)
    except (SceneError, FileNotFoundError) as error:
        LOG.warning("the subtitles are omitted from the report: %s", error)
        return []

"""The subtitles of a tape with what the recogniser thought of them: how sure it was, and what was left out."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import SceneError
from tapemill.core.timing import FrameRange, milliseconds
from tapemill.storage.job_records import read as read_record
from tapemill.subtitles.segments import Segment
from tapemill.subtitles.srt import Cue, read_srt

LOG = logging.getLogger("tapemill.report")

# A mean probability of its words below this makes a cue worth a second look. Whisper itself gives up at e^-1, 0.37.
DOUBTFUL: Final = 0.5


@dataclass(frozen=True)
class SubtitleReview:
    """What was said, as a page tells it."""

    cues: tuple[ReviewedCue, ...]
    left_out: tuple[DroppedSegment, ...]
    by_hand: tuple[str, ...]
    """Scenes whose subtitles somebody corrected: what the recogniser thought does not concern them."""

    @property
    def doubtful(self) -> int:
        """Cues worth a second look."""
        return sum(cue.is_doubtful for cue in self.cues)


@dataclass(frozen=True)
class ReviewedCue:
    """A cue of the tape."""

    start_s: float
    stop_s: float
    scene: str
    text: str
    confidence: float | None
    """Mean probability of its words, 0 to 1; None if the recogniser had no part in it."""

    @property
    def is_doubtful(self) -> bool:
        """Whether it is worth a second look."""
        return self.confidence is not None and self.confidence < DOUBTFUL


@dataclass(frozen=True)
class DroppedSegment:
    """Something that the recogniser wrote and a guard took out."""

    start_s: float
    scene: str
    text: str
    reason: str


def review_subtitles(*, srt: Path, records: Path, scenes: Mapping[str, FrameRange], rate: Fraction) -> SubtitleReview:
    """The cues of the tape's `srt`, each with the confidence of what it was made of.

    `records` is the folder of the scenes' records (`subtitles/`), `scenes` their spans at `rate`. Records that are gone
    or damaged leave their scenes' cues without a confidence.
    """
    cues: list[ReviewedCue] = []
    left_out: list[DroppedSegment] = []
    by_hand: list[str] = []
    waiting = _by_scene(_cues(srt), scenes, rate)
    for name, span in scenes.items():
        record = read_record(records / f"{name}.json")
        start_ms = milliseconds(span.start_s(rate))
        if "note" in record:
            by_hand.append(name)
        segments = [] if "note" in record else list(_segments(record, start_ms))
        cues += [_heard(cue, name, segments) for cue in waiting.get(name, ())]
        for removed in record.get("removed", ()):
            start_s = (start_ms + removed["start_ms"]) / 1000
            left_out.append(DroppedSegment(start_s, name, str(removed["text"]), str(removed["reason"])))
    return SubtitleReview(tuple(cues), tuple(left_out), tuple(by_hand))


def confidence(segment: Segment) -> float:
    """Mean probability of the words of a segment; where they were not timed, the geometric mean of its tokens."""
    if segment.words:
        return sum(word.probability for word in segment.words) / len(segment.words)
    return math.exp(min(0.0, segment.avg_logprob))


def _by_scene(cues: Iterable[Cue], scenes: Mapping[str, FrameRange], rate: Fraction) -> dict[str, list[Cue]]:
    """Cues by the scene that they begin in."""
    starts = [(milliseconds(span.start_s(rate)), name) for name, span in scenes.items()]
    found: dict[str, list[Cue]] = {}
    place = 0
    for cue in cues:
        while place + 1 < len(starts) and starts[place + 1][0] <= cue.start_ms:
            place += 1
        found.setdefault(starts[place][1], []).append(cue)
    return found


def _heard(cue: Cue, scene: str, segments: Sequence[tuple[int, int, float]]) -> ReviewedCue:
    """A cue with the confidence of the segments that it shares time with, weighted by how much."""
    shares = [(min(cue.stop_ms, stop) - max(cue.start_ms, start), sure) for start, stop, sure in segments]
    shares = [(share, sure) for share, sure in shares if share > 0]
    total = sum(share for share, _ in shares)
    sure = sum(share * each for share, each in shares) / total if total else None
    return ReviewedCue(cue.start_ms / 1000, cue.stop_ms / 1000, scene, cue.text, sure)


def _segments(record: Mapping[str, Any], start_ms: int) -> Iterator[tuple[int, int, float]]:
    """Start and end on the tape in milliseconds, and confidence."""
    for values in record.get("heard", {}).get("segments", ()):
        segment = Segment.from_plain(values)
        yield start_ms + segment.start_ms, start_ms + segment.stop_ms, confidence(segment)


def _cues(srt: Path) -> list[Cue]:
    try:
        return read_srt(srt)
    except (SceneError, FileNotFoundError) as error:
        LOG.warning("the subtitles are left out: %s", error)
        return []

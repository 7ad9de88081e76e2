"""Field order of one scene. Home tapes change it between recordings, so that of the tape may be wrong for a scene."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
from av import VideoFrame

from tapemill.core.errors import ToolFailed
from tapemill.media import field_match
from tapemill.media.capture_info import FieldOrder
from tapemill.media.field_match import FieldMatcher, StripReader
from tapemill.media.probe import open_media

# A few samples spread over the scene, and more of them if they show too little: the order shows only in movement, which
# may be in one part of it.
SAMPLES, MORE_SAMPLES = 3, 12
# The first and the last frame of a sample have one neighbour only and show nothing.
FRAMES_PER_SAMPLE = 10
# Fewer frames that show an order may be noise.
FEWEST_DECIDED = 6
# A wrong order shows in nearly every moving frame, so a real difference is nearly unanimous.
AGREEMENT = 0.9
# Interlaced frames taken for progressive keep their combing; the opposite mistake only costs a little sharpness.
PROGRESSIVE_AGREEMENT = 0.95
PROGRESSIVE_DECIDED = 0.5
# In telecine two of five frames have a field of another one; in video hardly any seems to.
FILM_SHARE = 0.2

REMEDY = "delete the cut scene and run again; if it fails again, the disk may be failing"
UNDETERMINED = "undetermined"
ORDERS: tuple[FieldOrder, ...] = ("tff", "bff", "progressive")
# Field orders by the letters of `FieldMatcher`. Film with shifted fields is deinterlaced like video.
ORDER_OF_MATCH: Mapping[str, str] = {
    field_match.TOP_FIRST: "tff",
    field_match.PREVIOUS: "tff",
    field_match.BOTTOM_FIRST: "bff",
    field_match.NEXT: "bff",
    field_match.SAME: "progressive",
    field_match.STILL: UNDETERMINED,
}


@dataclass(frozen=True)
class SceneFieldOrder:
    """Field order of a scene, with the frames that it was decided by."""

    field_order: FieldOrder
    own: bool
    """Whether the scene clearly differs from the tape."""
    seen: Mapping[str, int]
    """Number of frames by order; "undetermined" are those without movement."""
    may_be_film: bool = False
    """Whether many frames have a field that belongs to another frame."""


def detect_scene_field_order(clip: Path, *, frames: int, rate: Fraction, tape: FieldOrder) -> SceneFieldOrder:
    """Detect the field order from a few samples of a cut scene. Raises ToolFailed if it cannot be decoded."""
    letters: Counter[str] = Counter()
    try:
        for count in (SAMPLES, MORE_SAMPLES):
            if letters.total() - letters[field_match.STILL] < FEWEST_DECIDED:
                for start in _sample_starts(frames, count):
                    letters.update(_sample_matches(clip, start, rate))
    except (av.error.FFmpegError, OSError) as error:
        raise ToolFailed(
            f"the cut scene could not be decoded: {error}", file=clip, tool="PyAV", remedy=REMEDY
        ) from error
    seen: Counter[str] = Counter()
    for letter, count in letters.items():
        seen[ORDER_OF_MATCH[letter]] += count
    moving = letters.total() - letters[field_match.STILL]
    may_be_film = letters[field_match.PREVIOUS] + letters[field_match.NEXT] > FILM_SHARE * moving
    # Three of five frames of telecine are progressive, and do not contradict the order of the others.
    order = decide_field_order({**seen, "progressive": 0} if may_be_film else seen, tape)
    return SceneFieldOrder(
        field_order=order,
        own=order != tape,
        seen=dict(sorted(seen.items())),
        may_be_film=may_be_film,
    )


def decide_field_order(seen: Mapping[str, int], tape: FieldOrder) -> FieldOrder:
    """Decide by frames per order: the tape's order, unless nearly all frames that show one differ."""
    counts = {order: seen.get(order, 0) for order in ORDERS}
    decided = sum(counts.values())
    if decided < FEWEST_DECIDED:
        return tape
    winner = max(counts, key=lambda order: counts[order])
    share = counts[winner] / decided
    if winner == "progressive":
        enough = share >= PROGRESSIVE_AGREEMENT and decided >= PROGRESSIVE_DECIDED * sum(seen.values())
    else:
        enough = share >= AGREEMENT
    return winner if enough else tape


def _sample_starts(frames: int, samples: int) -> list[int]:
    """First frame of each sample; short scenes get fewer samples."""
    count = max(1, min(samples, frames // (2 * FRAMES_PER_SAMPLE)))
    return [frames * (2 * index + 1) // (2 * count) - min(frames, FRAMES_PER_SAMPLE) // 2 for index in range(count)]


def _sample_matches(clip: Path, start: int, rate: Fraction) -> str:
    """Letters of `FieldMatcher` for the frames of one sample that have two neighbours."""
    matcher, reader = FieldMatcher(), StripReader()
    for frame in _frames(clip, start, rate):
        matcher.add(reader.strip(frame))
    matches = matcher.matches()
    return matches[1:-1] or matches


def _frames(clip: Path, start: int, rate: Fraction) -> Iterator[VideoFrame]:
    """Up to FRAMES_PER_SAMPLE frames from `start` on. Cut scenes have key frames only: seeking is exact and cheap."""
    with open_media(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        base = stream.time_base or Fraction(1, 1000)
        # Half a frame early: the container rounds its times.
        container.seek(max(0, int((start - Fraction(1, 2)) / rate / base)), stream=stream, backward=False)
        for number, frame in enumerate(container.decode(stream)):
            if number == FRAMES_PER_SAMPLE:
                return
            yield frame

"""Field order of one scene. Home tapes change it between recordings, so that of the tape may be wrong for a scene."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
from av import VideoFrame
from av.filter import Graph

from tapemill.core.errors import ToolFailed
from tapemill.media.capture_info import FieldOrder
from tapemill.media.probe import open_media

# A few samples spread over the scene: the order shows only in movement, which may be in one part of it.
SAMPLES = 3
FRAMES_PER_SAMPLE = 8
# Fewer frames that show an order may be noise.
FEWEST_DECIDED = 6
# A wrong order shows in nearly every moving frame, so a real difference is nearly unanimous.
AGREEMENT = 0.9
# Interlaced frames taken for progressive keep their combing; the opposite mistake only costs a little sharpness.
PROGRESSIVE_AGREEMENT = 0.95
PROGRESSIVE_DECIDED = 0.5

REMEDY = "delete the cut scene and run again; if it fails again, the disk may be failing"
# Field orders by the values of ffmpeg's filter idet.
ORDERS: Mapping[str, FieldOrder] = {"tff": "tff", "bff": "bff", "progressive": "progressive"}


@dataclass(frozen=True)
class SceneFieldOrder:
    """Field order of a scene, with the frames that it was decided by."""

    field_order: FieldOrder
    own: bool
    """Whether the scene clearly differs from the tape."""
    seen: Mapping[str, int]
    """Number of frames by order; "undetermined" are those without movement."""


def detect_scene_field_order(clip: Path, *, frames: int, rate: Fraction, tape: FieldOrder) -> SceneFieldOrder:
    """Detect the field order from a few samples of a cut scene. Raises ToolFailed if it cannot be decoded."""
    seen: Counter[str] = Counter()
    try:
        for start in _sample_starts(frames):
            seen.update(_idet_orders(clip, start, rate))
    except (av.error.FFmpegError, OSError) as error:
        raise ToolFailed(
            f"the cut scene could not be decoded: {error}", file=clip, tool="PyAV", remedy=REMEDY
        ) from error
    order = decide_field_order(seen, tape)
    return SceneFieldOrder(field_order=order, own=order != tape, seen=dict(sorted(seen.items())))


def decide_field_order(seen: Mapping[str, int], tape: FieldOrder) -> FieldOrder:
    """Decide by frames per order (idet's values): the tape's order, unless nearly all frames that show one differ."""
    counts = {order: seen.get(name, 0) for name, order in ORDERS.items()}
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


def _sample_starts(frames: int) -> list[int]:
    """First frame of each sample; short scenes get fewer samples."""
    count = max(1, min(SAMPLES, frames // (2 * FRAMES_PER_SAMPLE)))
    return [frames * (2 * index + 1) // (2 * count) - min(frames, FRAMES_PER_SAMPLE) // 2 for index in range(count)]


def _idet_orders(clip: Path, start: int, rate: Fraction) -> list[str]:
    """The value of idet for each frame of one sample."""
    graph: Graph | None = None
    for frame in _frames(clip, start, rate):
        if graph is None:
            graph = Graph()
            source = graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 1000),
            )
            graph.link_nodes(source, graph.add("idet"), graph.add("buffersink")).configure()
        graph.vpush(frame)
    if graph is None:
        return []
    graph.vpush(None)
    return list(_pull_orders(graph))


def _pull_orders(graph: Graph) -> Iterator[str]:
    while True:
        try:
            yield graph.vpull().metadata["lavfi.idet.multiple.current_frame"]
        except (av.error.BlockingIOError, av.error.EOFError):
            return


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

"""The field order of one scene: home tapes change it between recordings, so the tape's own is no proof for a scene."""

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

# A few looks spread over the scene: movement, without which no order can be told, may be in one part of it only.
SPOTS = 3
FRAMES_PER_SPOT = 8
# Fewer frames that show an order are an accident of noise.
FEWEST_DECIDED = 6
# Wrong fields are seen in nearly every moving frame, so a real disagreement is nearly unanimous.
AGREEMENT = 0.9
# Interlaced frames that are taken for progressive keep their combs, the other mistake costs a little sharpness only.
PROGRESSIVE_AGREEMENT = 0.95
PROGRESSIVE_DECIDED = 0.5

_REDO = "delete the cut scene and run again; if it fails again, the disk may be failing"
# idet's words for what it sees in a frame and its neighbours.
ORDERS: Mapping[str, FieldOrder] = {"tff": "tff", "bff": "bff", "progressive": "progressive"}


@dataclass(frozen=True)
class SceneFieldOrder:
    """What the frames of a scene show, and what was concluded."""

    field_order: FieldOrder
    own: bool
    """Whether the scene clearly disagrees with the tape and is treated on its own."""
    seen: Mapping[str, int]
    """Number of frames by order; "undetermined" are those without movement."""


def detect_scene_field_order(clip: Path, *, frames: int, rate: Fraction, tape: FieldOrder) -> SceneFieldOrder:
    """Look at a few spots of a cut scene. Raises ToolFailed if it cannot be decoded."""
    seen: Counter[str] = Counter()
    try:
        for start in _spots(frames):
            seen.update(_orders(clip, start, rate))
    except (av.error.FFmpegError, OSError) as error:
        raise ToolFailed(
            f"the cut scene could not be decoded: {error}", file=clip, tool="PyAV", remedy=_REDO
        ) from error
    order = decide_field_order(seen, tape)
    return SceneFieldOrder(field_order=order, own=order != tape, seen=dict(sorted(seen.items())))


def decide_field_order(seen: Mapping[str, int], tape: FieldOrder) -> FieldOrder:
    """The tape's order, unless nearly all frames that show any say otherwise."""
    counts = {order: seen.get(word, 0) for word, order in ORDERS.items()}
    decided = sum(counts.values())
    if decided < FEWEST_DECIDED:
        return tape
    favourite = max(counts, key=lambda order: counts[order])
    share = counts[favourite] / decided
    if favourite == "progressive":
        enough = share >= PROGRESSIVE_AGREEMENT and decided >= PROGRESSIVE_DECIDED * sum(seen.values())
    else:
        enough = share >= AGREEMENT
    return favourite if enough else tape


def _spots(frames: int) -> list[int]:
    """First frames of the looks; short scenes get fewer."""
    spots = max(1, min(SPOTS, frames // (2 * FRAMES_PER_SPOT)))
    return [frames * (2 * spot + 1) // (2 * spots) - min(frames, FRAMES_PER_SPOT) // 2 for spot in range(spots)]


def _orders(clip: Path, start: int, rate: Fraction) -> list[str]:
    """The verdict of idet on each frame of one look."""
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
    return list(_verdicts(graph))


def _verdicts(graph: Graph) -> Iterator[str]:
    while True:
        try:
            yield graph.vpull().metadata["lavfi.idet.multiple.current_frame"]
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _frames(clip: Path, start: int, rate: Fraction) -> Iterator[VideoFrame]:
    """Up to FRAMES_PER_SPOT frames from `start` on. Cut scenes have key frames only, so seeking is exact and cheap."""
    with open_media(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        base = stream.time_base or Fraction(1, 1000)
        # Half a frame early: the container rounds its times.
        container.seek(max(0, int((start - Fraction(1, 2)) / rate / base)), stream=stream, backward=False)
        for number, frame in enumerate(container.decode(stream)):
            if number == FRAMES_PER_SPOT:
                return
            yield frame

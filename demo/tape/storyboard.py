"""Storyboard of the demo tape: format, scenes frame by frame, and spoken lines."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tapemill.core.timing import FrameRange

WIDTH, HEIGHT = 720, 576
SAMPLE_ASPECT_RATIO = Fraction(16, 15)
RATE = Fraction(25)
"""Frames a second of the capture, each of two fields."""
FIELD_RATE = 2 * RATE
"""Frames a second of the truth: frame 2n holds the top field of capture frame n, 2n + 1 its bottom field."""
SAMPLE_RATE_HZ = 48_000
HEAD_SWITCHING_LINES = 10
"""Lowest lines of the capture, which show the deck's head switching."""

Ambience = Literal["garden", "room", "music", "water", "silence", "train", "evening"]


@dataclass(frozen=True)
class Line:
    """Slot of one spoken sentence."""

    frame: int
    """Where it starts, counted from the scene's first frame."""
    max_duration_s: float
    """Longest duration of the sentence."""
    templates: tuple[str, ...]
    """Templates to draw from: some of `sentences.TEMPLATES`."""


@dataclass(frozen=True)
class DemoScene:
    """Scene of the demo. `span` counts frames of the whole capture."""

    name: str
    span: FrameRange
    ambience: Ambience
    lines: tuple[Line, ...] = ()
    stamp: str = ""
    """Date that the camcorder writes into the image."""
    fade_in_frames: int = 0
    """Length of the fade from black at its start."""
    fade_out_frames: int = 0


GARDEN_LINE = Line(20, 2.8, ("look at N", "N is D in the P", "N and N are D in the P"))
CAKE_LINE = Line(15, 2.4, ("happy birthday N", "blow out the candles N", "K candles for N", "N is K years old today"))
SWING_LINES = (
    Line(15, 1.9, ("here comes N", "say hello to N", "look at N")),
    Line(70, 1.9, ("come here N and N", "wave to the camera N")),
)
# Two in the first half and one in the second: the still and silent part between 14 and 17 s is the best place to
# split a scene over 30 s.
PIER_LINES = (
    Line(50, 2.8, ("S Y at the P", "M Y in C", "it is M Y")),
    Line(150, 3.0, ("we are D at the P with N", "this is N and N at the P")),
    Line(460, 3.0, ("N loves the P in S", "do you remember S Y", "our holiday in C in M Y")),
)
CHRISTMAS_LINE = Line(15, 2.2, ("merry Christmas N", "open the present N"))
TRAIN_LINE = Line(12, 2.4, ("here comes N", "this is N in C", "do you remember C in Y"))
HOUSE_LINE = Line(15, 2.2, ("good night N", "wave to the camera N"))

SCENES = (
    DemoScene("garden", FrameRange(0, 100), "garden", (GARDEN_LINE,), stamp="24 JUL 1994  PM 3:12"),
    DemoScene("cake", FrameRange(100, 195), "room", (CAKE_LINE,), fade_out_frames=18),
    DemoScene("mountains", FrameRange(195, 280), "music", fade_in_frames=18),
    DemoScene("swing", FrameRange(280, 405), "garden", SWING_LINES, stamp="31 JUL 1994  AM11:05"),
    DemoScene("pier", FrameRange(405, 1180), "water", PIER_LINES),
    DemoScene("christmas", FrameRange(1180, 1265), "room", (CHRISTMAS_LINE,), stamp="24 DEC 1994  PM 7:48"),
    DemoScene("beach", FrameRange(1265, 1340), "silence"),
    DemoScene("train", FrameRange(1340, 1420), "train", (TRAIN_LINE,)),
    DemoScene("house", FrameRange(1420, 1500), "evening", (HOUSE_LINE,), stamp=" 2 SEP 1995  PM 8:20"),
)
FRAMES = SCENES[-1].span.stop_frame

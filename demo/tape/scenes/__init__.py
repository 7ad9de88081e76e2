"""Scenes of the demo tape before any degradation: the truth."""

from __future__ import annotations

from collections.abc import Callable

from demo.tape import drawing, storyboard
from demo.tape.drawing import Paint, Picture

from . import garden, indoor, landscape, water

TICKS_PER_FRAME = int(storyboard.FIELD_RATE / storyboard.RATE)

PAINTERS: dict[str, Callable[[], Paint]] = {
    "garden": garden.garden,
    "cake": indoor.cake,
    "mountains": landscape.mountains,
    "swing": garden.swing,
    "pier": water.pier,
    "christmas": indoor.christmas,
    "beach": water.beach,
    "train": landscape.train,
    "house": garden.house,
}


def scene_paint(scene: storyboard.DemoScene) -> Paint:
    """The drawing function of a scene, with its fades and its date. Building the scenery takes about a second."""
    draw = PAINTERS[scene.name]()
    ticks = scene.span.frames * TICKS_PER_FRAME
    fade_in, fade_out = scene.fade_in_frames * TICKS_PER_FRAME, scene.fade_out_frames * TICKS_PER_FRAME

    def finished(tick: int) -> Picture:
        picture = draw(tick)
        if scene.stamp:
            drawing.stamp(picture, scene.stamp)
        light = 1.0
        if tick < fade_in:
            light = tick / fade_in
        elif tick >= ticks - fade_out:
            light = (ticks - 1 - tick) / fade_out
        return picture if light == 1.0 else drawing.dimmed(picture, light)

    return finished

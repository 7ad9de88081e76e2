"""The demo tape's pictures as they were before any tape: the truth."""

from __future__ import annotations

from collections.abc import Callable

from . import gardens, indoors, landscapes, paint, plan, waterside
from .paint import Paint, Picture

TICKS_PER_FRAME = int(plan.FIELD_RATE / plan.RATE)

PAINTERS: dict[str, Callable[[], Paint]] = {
    "garden": gardens.garden,
    "cake": indoors.cake,
    "mountains": landscapes.mountains,
    "swing": gardens.swing,
    "pier": waterside.pier,
    "christmas": indoors.christmas,
    "beach": waterside.beach,
    "train": landscapes.train,
    "house": gardens.house,
}


def scene_paint(scene: plan.DemoScene) -> Paint:
    """What a scene looks like, with its fades and its date. Building the scenery takes about a second."""
    draw = PAINTERS[scene.name]()
    ticks = scene.span.frames * TICKS_PER_FRAME
    fade_in, fade_out = scene.fade_in_frames * TICKS_PER_FRAME, scene.fade_out_frames * TICKS_PER_FRAME

    def finished(tick: int) -> Picture:
        picture = draw(tick)
        if scene.stamp:
            paint.stamp(picture, scene.stamp)
        light = 1.0
        if tick < fade_in:
            light = tick / fade_in
        elif tick >= ticks - fade_out:
            light = (ticks - 1 - tick) / fade_out
        return picture if light == 1.0 else paint.dimmed(picture, light)

    return finished

"""Random clips for training the restoration network, drawn with the functions of the demo.

None of the demo's own scenes is among them, so that the score on the demo is not one of memory. Half of them are what
home videos show (landscapes, rooms, people); the others are what makes any picture: shapes that hide each other, whose
sizes are spread as in photographs ("dead leaves"), clouds with a natural spectrum, lettering and fine lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from demo.tape import drawing
from demo.tape.drawing import Paint, Picture
from demo.tape.scenes import props

from .random_backgrounds import DETAILS, WORLDS, part_of, random_colour, random_words

# Worlds are larger than the 768 × 576 pixels that are seen at zoom 1.
WORLD_WIDTH, WORLD_HEIGHT = 1280, 880

Mover = Callable[[Picture, int], None]
"""Draws something that moves, as it is at a tick."""


def random_paint(seed: int) -> Paint:
    """What a random scene looks like. Building it takes about a second; the same seed gives the same pictures."""
    rng = np.random.default_rng((seed, 1))
    world = drawing.blank(WORLD_WIDTH, WORLD_HEIGHT)
    WORLDS[int(rng.integers(len(WORLDS)))](world, rng)
    for _ in range(int(rng.integers(0, 3))):
        DETAILS[int(rng.integers(len(DETAILS)))](part_of(world, rng), rng)
    if rng.random() < 0.25:
        world = drawing.dimmed(world, float(rng.uniform(0.25, 0.8)))
    movers = [MOVERS[int(rng.integers(len(MOVERS)))](rng) for _ in range(int(rng.integers(0, 4)))]
    camera = Camera.random(rng)
    stamp = random_words(rng, 16).upper() if rng.random() < 0.3 else ""

    def draw(tick: int) -> Picture:
        picture = world.copy() if movers else world
        for mover in movers:
            mover(picture, tick)
        seen = camera.view(picture, tick)
        if stamp:
            drawing.stamp(seen, stamp)
        return seen

    return draw


@dataclass(frozen=True)
class Camera:
    """Position and movement of a hand-held camera, in pixels of the world and ticks."""

    x: float
    y: float
    speed: drawing.Point
    shake: float
    zoom: float
    zoom_speed: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Camera:
        """Every third one stands still."""
        zoom = float(rng.uniform(0.9, 1.6))
        room_x, room_y = WORLD_WIDTH - 768 / zoom, WORLD_HEIGHT - 576 / zoom
        x, y = float(rng.uniform(0, room_x)), float(rng.uniform(0, room_y))
        if rng.random() < 1 / 3:
            return cls(x, y, (0, 0), 0, zoom, 0)
        speed = (0.0, 0.0)
        if rng.random() < 0.5:
            # Towards the middle, so as to stay inside.
            speed = (math.copysign(float(rng.exponential(2)), room_x / 2 - x), float(rng.normal(0, 0.3)))
        zoom_speed = float(rng.normal(0, 0.004)) if rng.random() < 0.3 else 0
        return cls(x, y, speed, float(rng.uniform(0, 2.5)), zoom, zoom_speed)

    def view(self, world: Picture, tick: int) -> Picture:
        """What it sees."""
        dx, dy = drawing.shake(tick, self.shake)
        zoom = self.zoom * math.exp(self.zoom_speed * tick)
        return drawing.view(world, self.x + self.speed[0] * tick + dx, self.y + self.speed[1] * tick + dy, zoom)


def _thrown(rng: np.random.Generator) -> Mover:
    """A disc with a sector of another colour, which flies and turns."""
    x, y, radius = float(rng.uniform(200, 1000)), float(rng.uniform(100, 700)), float(rng.uniform(8, 60))
    speed = rng.normal(0, 4, 2)
    one, other, turn = random_colour(rng), random_colour(rng), float(rng.normal(0, 0.1))

    def draw(picture: Picture, tick: int) -> None:
        at = (x + float(speed[0]) * tick, y + float(speed[1]) * tick)
        drawing.disc(picture, *at, radius, one)
        rim = [turn * tick + step * math.pi / 9 for step in range(7)]
        drawing.polygon(
            picture, [at, *((at[0] + radius * math.cos(a), at[1] + radius * math.sin(a)) for a in rim)], other
        )

    return draw


def _walker(rng: np.random.Generator) -> Mover:
    """Somebody who waves, and may walk by."""
    height, x, y = float(rng.uniform(90, 420)), float(rng.uniform(150, 1100)), float(rng.uniform(350, 860))
    person = props.Person(
        height, random_colour(rng), random_colour(rng), random_colour(rng), stripes=bool(rng.integers(2))
    )
    speed, pace = float(rng.normal(0, 1.5)), float(rng.uniform(0.03, 0.3))

    def draw(picture: Picture, tick: int) -> None:
        swing = math.sin(pace * tick)
        person.draw(picture, x + speed * tick, y, (40 + 30 * swing, 120 + 40 * swing), 8 + 6 * swing)

    return draw


def _lamp(rng: np.random.Generator) -> Mover:
    """An unsteady light."""
    x, y, radius, seed = (int(rng.integers(*span)) for span in ((100, 1100), (50, 800), (10, 60), (0, 50)))
    tone, halo = random_colour(rng), drawing.soft_disc(radius, 200)

    def draw(picture: Picture, tick: int) -> None:
        share = 0.6 + 0.4 * drawing.flicker(tick, seed)
        drawing.blend(picture, tone, (halo * share).astype(np.uint8), x - radius, y - radius)

    return draw


MOVERS = (_thrown, _walker, _lamp)

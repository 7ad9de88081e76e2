"""Scenes of the demo tape on the way: mountains, train."""

from __future__ import annotations

import math

import numpy as np

from demo.tape import drawing
from demo.tape.drawing import Colour, Paint, Picture, Point, rgb

from . import props


def mountains() -> Paint:
    """A pan over mountains that mirror themselves in a lake."""
    world = _mountain_world()

    def draw(tick: int) -> Picture:
        dx, dy = drawing.shake(tick, 1.6)
        picture = drawing.view(world, 40 + 3.1 * tick + dx, 26 + dy)
        lake = picture[352:]
        rows = np.arange(len(lake))
        waves = [round(float(row) / 8 * math.sin(0.35 * row - 0.16 * tick) * 6) for row in rows]
        lake[:] = drawing.shift_rows(lake, np.array(waves))
        return picture

    return draw


def _mountain_world() -> Picture:
    width, shore = 1420, 378
    world = drawing.blank(width, 640)
    props.sky(world[:shore], rgb(70, 130, 210), rgb(206, 222, 236), 41, 70)
    _ridge(world, 42, 170, 120, rgb(132, 150, 176), shore, snow=True)
    _ridge(world, 43, 250, 70, rgb(92, 116, 120), shore, snow=False)
    _ridge(world, 44, 310, 34, rgb(66, 104, 74), shore, snow=False)
    rng = np.random.default_rng(45)
    for x in np.sort(rng.integers(0, width, 260)):
        _spruce(world, int(x), shore - int(rng.integers(0, 22)), 26 + int(rng.integers(0, 26)))
    mirrored = world[shore - (640 - shore) : shore][::-1].astype(np.int32)
    water = np.array(rgb(40, 84, 120), np.int32)
    world[shore:] = (mirrored * 5 + water * 3) >> 3
    drawing.rectangle(world, 0, shore - 2, width, shore + 2, rgb(190, 186, 160))
    return world


def _ridge(world: Picture, seed: int, top: int, rough: int, colour: Colour, base: int, *, snow: bool) -> None:
    """A chain of mountains, whose crest is around row `top`, with rock texture and snow."""
    width = world.shape[1]
    crest = top + (drawing.noise(seed, width, 1, (240, 1), 6)[0] * rough >> 6)
    rows = np.arange(base)[:, None]
    inside = rows >= crest[None, :]
    rock = drawing.blank(width, base, colour)
    drawing.textured(rock, drawing.noise(seed + 50, width, base, (60, 40), 5), 36)
    if snow:
        line = crest[None, :] + 34 + (drawing.noise(seed + 60, width, base, (40, 60), 4) >> 1)
        rock[inside & (rows < line)] = rgb(240, 244, 250)
        drawing.textured(rock, drawing.noise(seed + 70, width, base, (30, 30), 3), 10)
    world[:base][inside] = rock[inside]


def _spruce(world: Picture, x: int, foot: int, height: int) -> None:
    tone = rgb(28 + height // 3, 62 + height // 2, 42)
    for tier in range(3):
        top, low = foot - height + tier * height // 4, foot - height // 2 + tier * height // 4
        half = height * (2 + tier) / 14
        drawing.polygon(world, ((x, top), (x + half, low), (x - half, low)), tone)


def train() -> Paint:
    """A steam train passes; the camera follows it for a while."""
    world = _valley_world()

    def draw(tick: int) -> Picture:
        picture = world.copy()
        front = 420 + 6.0 * tick
        for wagon, colour in ((3, rgb(60, 110, 70)), (2, rgb(150, 60, 50)), (1, rgb(60, 110, 70))):
            _wagon(picture, front - 60 - 215 * wagon, colour, front)
        _engine(picture, front)
        _smoke(picture, tick)
        dx, dy = drawing.shake(tick, 2.0)
        return drawing.view(picture, 40 + 4.2 * tick + dx, 30 + dy)

    return draw


def _valley_world() -> Picture:
    width = 1560
    world = drawing.blank(width, 640)
    props.sky(world[:330], rgb(120, 160, 205), rgb(222, 222, 214), 51, 60)
    _ridge(world, 52, 240, 60, rgb(104, 128, 104), 330, snow=False)
    _ridge(world, 53, 290, 30, rgb(120, 150, 84), 330, snow=False)
    props.grass(world, 320, rgb(126, 154, 76), 54, 7000)
    rng = np.random.default_rng(55)
    for x in np.sort(rng.integers(0, width, 60)):
        _spruce(world, int(x), 330 + int(rng.integers(0, 30)), 40 + int(rng.integers(0, 30)))
    drawing.polygon(world, ((0, 492), (width, 492), (width, 548), (0, 548)), rgb(128, 118, 108))
    drawing.textured(world[492:548], drawing.noise(56, width, 56, (5, 4), 2), 40)
    for x in range(0, width, 22):
        drawing.rectangle(world, x, 500, x + 10, 512, rgb(84, 64, 48))
    drawing.rectangle(world, 0, 495, width, 500, rgb(170, 170, 178))
    props.flowers(world, 0, 565, width, 60, 57)
    for x in range(90, width, 300):
        drawing.rectangle(world, x, 130, x + 7, 560, rgb(96, 72, 52))
        drawing.rectangle(world, x - 22, 142, x + 29, 148, rgb(96, 72, 52))
        wire: list[Point] = [(x + 300 * s / 12, 140 + 22 * s * (12 - s) / 36) for s in range(13)]
        drawing.stroke(world, wire, rgb(60, 60, 64))
    return world


def _wheel(picture: Picture, x: float, y: float, radius: float, turn: float) -> None:
    drawing.disc(picture, x, y, radius, rgb(40, 36, 40))
    drawing.disc(picture, x, y, radius * 0.82, rgb(176, 40, 40))
    for spoke in range(6):
        angle = turn + spoke * math.pi / 3
        rim = (x + radius * 0.85 * math.cos(angle), y + radius * 0.85 * math.sin(angle))
        drawing.stroke(picture, ((x, y), rim), rgb(60, 24, 24), 2)
    drawing.disc(picture, x, y, radius * 0.2, rgb(50, 44, 44))


def _engine(picture: Picture, x: float) -> None:
    """A locomotive whose front is at x."""
    black, red, brass = rgb(38, 40, 46), rgb(170, 36, 36), rgb(214, 176, 80)
    drawing.rectangle(picture, x - 200, 440, x - 4, 462, red)
    drawing.rectangle(picture, x - 150, 376, x - 14, 440, black)
    drawing.ellipse(picture, x - 14, 408, (12, 32), rgb(54, 56, 62))
    for band in (-120, -86, -52):
        drawing.rectangle(picture, x + band, 376, x + band + 4, 440, brass)
    drawing.rectangle(picture, x - 205, 340, x - 138, 444, rgb(44, 60, 52))
    drawing.rectangle(picture, x - 192, 354, x - 154, 392, rgb(206, 220, 226))
    drawing.rectangle(picture, x - 212, 332, x - 130, 342, red)
    drawing.polygon(picture, ((x - 46, 376), (x - 24, 376), (x - 18, 330), (x - 52, 330)), black)
    drawing.disc(picture, x - 84, 374, 13, brass)
    drawing.polygon(picture, ((x - 6, 462), (x + 22, 490), (x - 6, 490)), red)
    drawing.disc(picture, x + 2, 392, 7, rgb(255, 244, 190))
    turn = x / 27
    for axle in (-170, -112):
        _wheel(picture, x + axle, 468, 27, turn)
    for axle in (-62, -24):
        _wheel(picture, x + axle, 478, 17, x / 17)
    pins = [(x + axle + 15 * math.cos(turn), 468 + 15 * math.sin(turn)) for axle in (-170, -112)]
    drawing.stroke(picture, (*pins, (x - 48, 466)), rgb(196, 196, 204), 5)


def _wagon(picture: Picture, x: float, colour: Colour, travelled: float) -> None:
    """A coach from x to x + 205."""
    drawing.rectangle(picture, x, 378, x + 205, 458, colour)
    drawing.rectangle(picture, x - 4, 368, x + 209, 380, rgb(70, 70, 76))
    drawing.rectangle(picture, x, 424, x + 205, 430, rgb(226, 206, 140))
    for window in range(5):
        left = x + 12 + 38 * window
        drawing.rectangle(picture, left, 388, left + 28, 416, rgb(214, 226, 230))
        drawing.disc(picture, left + 14, 408, 8, rgb(90, 76, 70) if window % 2 else props.SKIN)
    drawing.rectangle(picture, x + 205, 446, x + 222, 452, rgb(40, 40, 44))
    for axle in (36, 168):
        _wheel(picture, x + axle, 476, 18, travelled / 18)


def _smoke(picture: Picture, tick: int) -> None:
    """Puffs that the engine has left behind, one every six ticks."""
    for age in range(tick % 6, 150, 6):
        born = tick - age
        x = 385 + 6.0 * born + 0.5 * age + 10 * math.sin(born)
        y = 322 - 1.1 * age + 6 * math.sin(2.0 * born)
        radius = 14 + age // 3
        cover = drawing.soft_disc(radius, max(200 - age, 0))
        drawing.blend(picture, rgb(226, 224, 226), cover, round(x) - radius, round(y) - radius)

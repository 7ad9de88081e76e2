"""Scenes of the demo tape inside: birthday cake, Christmas."""

from __future__ import annotations

import math

import numpy as np

from demo.tape import drawing
from demo.tape.drawing import Colour, Paint, Picture, rgb

from . import props

CANDLES = ((250, 0), (310, 14), (372, 20), (436, 20), (498, 14), (558, 0), (345, -18), (463, -18))
LIGHTS = (rgb(255, 60, 50), rgb(60, 220, 90), rgb(80, 130, 255), rgb(255, 210, 70), rgb(240, 110, 230))


def cake() -> Paint:
    """A birthday cake in a darkened room: candles flicker, two faces behind them."""
    world = _cake_world()
    glow = _glow(860, 640, 405, 300, 430, 46)

    def draw(tick: int) -> Picture:
        picture = world.copy()
        for x, tone, seed in ((230, rgb(60, 130, 80), 3), (590, rgb(190, 80, 120), 5)):
            guest = props.Person(430, tone, tone, rgb(70, 46, 30))
            guest.draw(picture, x + 6 * math.sin(0.04 * tick + seed), 560 + 3 * math.sin(0.09 * tick), (30, 30))
            _hat(picture, x + 6 * math.sin(0.04 * tick + seed), 112 + 3 * math.sin(0.09 * tick), seed)
        _table(picture)
        for index, (dx, dy) in enumerate(CANDLES):
            _candle(picture, dx, 340 + dy, tick, index)
        drawing.lit(picture, glow, 0.75 + 0.25 * drawing.flicker(tick, 9))
        return drawing.view(picture, 30, 30)

    return draw


def _cake_world() -> Picture:
    world = drawing.blank(860, 640)
    drawing.gradient(world, rgb(66, 46, 40), rgb(96, 66, 48))
    drawing.textured(world, drawing.noise(81, 860, 640, (5, 5), 2), 5)
    for x in range(0, 860, 34):
        world[:, x : x + 12, 0] = np.maximum(world[:, x : x + 12, 0].astype(np.int32) - 6, 16)
    for index, x in enumerate(range(40, 860, 74)):
        y = 60 + 24 * math.sin(x / 110)
        drawing.stroke(world, ((x - 40, y), (x + 40, y + 6)), rgb(190, 180, 160), 2)
        drawing.polygon(world, ((x - 22, y), (x + 22, y + 4), (x, y + 44)), LIGHTS[index % 5])
    for x, y, tone in ((90, 190, rgb(190, 50, 60)), (760, 170, rgb(60, 100, 180)), (800, 280, rgb(210, 170, 50))):
        drawing.ellipse(world, x, y, (44, 54), tone)
        drawing.ellipse(world, x - 14, y - 18, (9, 14), drawing.mixed(tone, rgb(255, 255, 255), 0.6), 20)
        drawing.stroke(world, ((x, y + 54), (x + 8, y + 140), (x - 4, y + 210)), rgb(170, 160, 150))
    return world


def _hat(picture: Picture, x: float, y: float, seed: int) -> None:
    tone = LIGHTS[seed % 5]
    drawing.polygon(picture, ((x - 40, y + 36), (x + 40, y + 36), (x, y - 52)), tone)
    for part in (0.25, 0.55, 0.8):
        row = y + 36 - part * 88
        drawing.stroke(picture, ((x - 36 * (1 - part), row), (x + 36 * (1 - part), row)), rgb(245, 240, 220), 4)
    drawing.disc(picture, x, y - 54, 9, rgb(250, 240, 120))


def _table(picture: Picture) -> None:
    """A table with a cake in two layers."""
    drawing.polygon(picture, ((0, 478), (860, 478), (860, 640), (0, 640)), rgb(150, 100, 62))
    for row in range(486, 640, 14):
        drawing.stroke(picture, ((0, row), (400, row + 3), (860, row - 2)), rgb(126, 82, 50), 2)
    drawing.ellipse(picture, 405, 520, (262, 44), rgb(226, 226, 232))
    for top, bottom, half, tone in ((390, 505, 226, rgb(236, 190, 170)), (328, 400, 180, rgb(250, 236, 214))):
        drawing.rectangle(picture, 405 - half, top, 405 + half, bottom, tone)
        drawing.ellipse(picture, 405, bottom, (half, 30), tone)
        drawing.ellipse(picture, 405, top, (half, 30), rgb(252, 246, 236))
        for drip in range(13):
            x = 405 - half + (drip + 0.5) * half * 2 / 13
            low = top + 26 + 12 * math.sin(2.1 * drip)
            drawing.stroke(picture, ((x, top + 8), (x, low)), rgb(252, 246, 236), round(half / 11))
        for berry in range(11):
            x = 405 - half + (berry + 0.5) * half * 2 / 11
            drawing.disc(picture, x, bottom + 14, 9, rgb(200, 30, 50))
            drawing.disc(picture, x - 3, bottom + 11, 2, rgb(255, 190, 190))


def _candle(picture: Picture, x: float, y: float, tick: int, index: int) -> None:
    tone = (rgb(230, 90, 110), rgb(90, 150, 220))[index % 2]
    drawing.rectangle(picture, x - 5, y - 66, x + 5, y, tone)
    for stripe in range(4):
        row = y - 58 + 16 * stripe
        drawing.stroke(picture, ((x - 5, row + 5), (x + 5, row - 3)), rgb(250, 246, 240), 3)
    lean, tall = 3.5 * drawing.flicker(tick, index), 25 + 4 * drawing.flicker(tick, index + 30)
    for part, colour in ((1.0, rgb(255, 150, 40)), (0.72, rgb(255, 220, 110)), (0.4, rgb(255, 255, 230))):
        half = 7.5 * part
        tip = (x + lean, y - 68 - tall * part)
        drawing.polygon(
            picture,
            (tip, (x + half, y - 76), (x + half * 0.6, y - 68), (x - half * 0.6, y - 68), (x - half, y - 76)),
            colour,
        )


def christmas() -> Paint:
    """A dark living room: the lights of a Christmas tree, a fire, snow outside."""
    world = drawing.dimmed(_living_room(), 0.65)
    fire = _glow(860, 640, 150, 470, 260, 60)
    halo = drawing.soft_disc(24, 90)
    bulbs = _bulbs()

    def draw(tick: int) -> Picture:
        picture = world.copy()
        _snow(picture[70:270, 60:230], tick)
        for index, (x, y) in enumerate(bulbs):
            bright = 0.5 + 0.5 * math.sin(0.07 * tick + 1.9 * index)
            tone = LIGHTS[index % 5]
            drawing.blend(picture, tone, (halo * bright).astype(np.uint8), x - 24, y - 24)
            drawing.disc(picture, x, y, 4, drawing.mixed(drawing.mixed(tone, drawing.BLACK, 0.7), tone, bright))
        for flame in range(7):
            _flame(picture, 96 + 18 * flame, 520, tick, flame)
        drawing.lit(picture, fire, 0.7 + 0.3 * drawing.flicker(tick, 4))
        return drawing.view(picture, 40, 30)

    return draw


def _living_room() -> Picture:
    world = drawing.blank(860, 640)
    drawing.gradient(world, rgb(26, 24, 34), rgb(40, 30, 30))
    for x in range(0, 860, 46):
        world[:520, x : x + 16, 0] = np.minimum(world[:520, x : x + 16, 0].astype(np.int32) + 4, 235)
    props.planks(world[520:], rgb(60, 42, 30), 91, 58)
    drawing.rectangle(world, 50, 60, 240, 280, rgb(84, 70, 56))
    drawing.gradient(world[70:270, 60:230], rgb(16, 22, 52), rgb(50, 62, 96))
    drawing.disc(world, 190, 110, 16, rgb(226, 226, 206))
    props.bricks(world[360:560, 40:270], rgb(80, 44, 36), 92)
    drawing.rectangle(world, 30, 344, 280, 362, rgb(92, 70, 50))
    drawing.rectangle(world, 84, 410, 226, 540, rgb(14, 10, 10))
    _fir(world)
    presents = ((430, 540, 90, 60, 0), (540, 560, 70, 48, 2), (660, 545, 96, 58, 3), (380, 575, 60, 40, 4))
    for x, y, wide, tall, index in presents:
        tone = drawing.mixed(LIGHTS[index], drawing.BLACK, 0.55)
        drawing.rectangle(world, x, y, x + wide, y + tall, tone)
        ribbon = drawing.mixed(LIGHTS[(index + 3) % 5], drawing.BLACK, 0.35)
        drawing.rectangle(world, x + wide * 0.42, y, x + wide * 0.58, y + tall, ribbon)
        drawing.rectangle(world, x, y + tall * 0.4, x + wide, y + tall * 0.6, ribbon)
        for side in (-1, 1):
            drawing.ellipse(world, x + wide / 2 + side * 11, y - 5, (12, 6), ribbon, 20 * side)
    return world


def _fir(world: Picture) -> None:
    """The tree itself, needle by needle."""
    drawing.rectangle(world, 556, 520, 584, 570, rgb(50, 34, 22))
    rng = np.random.default_rng(93)
    for tier in range(5):
        top, low, half = 70 + 80 * tier, 210 + 85 * tier, 80 + 34 * tier
        drawing.polygon(world, ((570, top), (570 + half, low), (570 - half, low)), rgb(16, 44, 26))
    for _ in range(2600):
        down = float(rng.uniform(0.04, 1)) ** 0.6
        x, y = 570 + float(rng.uniform(-1, 1)) * 205 * down, 80 + 460 * down
        shade = int(rng.integers(-8, 26))
        tone: Colour = (max(rgb(20, 54, 30)[0] + shade, 16), 122, 118)
        drawing.stroke(world, ((x, y), (x + float(rng.uniform(-9, 9)), y + 9)), tone)
    star = [
        (
            570 + (26 if k % 2 == 0 else 10) * math.sin(k * math.pi / 5),
            66 - (26 if k % 2 == 0 else 10) * math.cos(k * math.pi / 5),
        )
        for k in range(10)
    ]
    drawing.polygon(world, star, rgb(250, 220, 110))


def _bulbs() -> list[tuple[int, int]]:
    """Where the lights hang, in garlands round the tree."""
    places = []
    for row in range(9):
        y, half = 130 + 46 * row, 26 + 19 * row
        for step in range(2 + row):
            across = -1 + 2 * (step + 0.5) / (2 + row)
            places.append((round(570 + half * across), round(y + 16 * (1 - across * across))))
    return places


def _snow(window: Picture, tick: int) -> None:
    """Snow falls behind the window; then its bars."""
    height, width = window.shape[:2]
    for flake in range(46):
        x = (flake * 53 + 9 * math.sin(0.03 * tick + flake)) % width
        y = (flake * 37 + (0.9 + flake % 3 * 0.35) * tick) % height
        drawing.disc(window, x, y, 1.2 + 0.4 * (flake % 3), rgb(190, 196, 214))
    bar = rgb(84, 70, 56)
    drawing.rectangle(window, width / 2 - 4, 0, width / 2 + 4, height, bar)
    drawing.rectangle(window, 0, height / 2 - 4, width, height / 2 + 4, bar)


def _flame(picture: Picture, x: float, y: float, tick: int, index: int) -> None:
    tall = 62 + 26 * drawing.flicker(tick, index) - 5 * abs(index - 3)
    lean = 9 * drawing.flicker(tick, index + 12)
    for part, colour in ((1.0, rgb(226, 80, 20)), (0.68, rgb(250, 150, 40)), (0.36, rgb(255, 226, 130))):
        half = 13 * part
        drawing.polygon(
            picture,
            ((x + lean, y - tall * part), (x + half, y - 14), (x + half / 2, y), (x - half / 2, y), (x - half, y - 14)),
            colour,
        )


def _glow(width: int, height: int, x: int, y: int, radius: int, peak: int) -> np.ndarray:
    """Light on everything around a place. shape = (height, width), uint8."""
    away = (np.arange(width)[None, :] - x) ** 2 + (np.arange(height)[:, None] - y) ** 2
    inside = np.maximum(radius * radius - away, 0)
    return np.asarray(peak * inside // (radius * radius), np.uint8)

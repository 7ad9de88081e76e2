"""Props of several scenes of the demo tape: grass, trees, water, bricks, people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from demo.tape import drawing
from demo.tape.drawing import Colour, Picture, rgb

SKIN = rgb(236, 188, 150)
WOOD = rgb(146, 104, 66)


def sky(picture: Picture, top: Colour, bottom: Colour, seed: int, clouds: int) -> None:
    """A sky with clouds; `clouds` is how bright they are."""
    drawing.gradient(picture, top, bottom)
    height, width = picture.shape[:2]
    cloudiness = np.maximum(drawing.noise(seed, width, height, (220, 70), 5), 0)
    drawing.textured(picture, cloudiness, clouds)
    for channel in (1, 2):
        paler = picture[:, :, channel].astype(np.int32) - 128
        picture[:, :, channel] = 128 + paler * (128 - np.minimum(cloudiness, 96)) // 128


def grass(picture: Picture, top: int, colour: Colour, seed: int, blades: int) -> None:
    """A lawn from row `top` down; blades grow longer towards the viewer."""
    height, width = picture.shape[:2]
    picture[top:] = colour
    drawing.textured(picture[top:], drawing.noise(seed, width, height - top, (90, 30), 4), 18)
    rng = np.random.default_rng(seed)
    for depth in np.sort(rng.integers(0, 1000, blades)):
        y = top + (height - top) * int(depth) ** 2 // 1_000_000 + 4
        x = int(rng.integers(0, width))
        length, lean, shade = 3 + int(depth) // 60, int(rng.integers(-4, 5)), int(rng.integers(-26, 30))
        tone = (min(max(colour[0] + shade, 16), 235), colour[1], colour[2])
        drawing.stroke(picture, ((x, y), (x + lean, y - length)), tone)


def flowers(picture: Picture, left: int, top: int, width: int, height: int, seed: int) -> None:
    """A bed of flowers."""
    rng = np.random.default_rng(seed)
    colours = (rgb(230, 40, 60), rgb(250, 220, 60), rgb(240, 240, 250), rgb(190, 70, 200))
    for _ in range(width * height // 90):
        x, y = left + int(rng.integers(0, width)), top + int(rng.integers(0, height))
        drawing.stroke(picture, ((x, y), (x + 1, y + 9)), rgb(30, 100, 30), 2)
        drawing.disc(picture, x, y, 2.5 + 0.25 * int(rng.integers(0, 6)), colours[int(rng.integers(0, 4))])
        drawing.disc(picture, x, y, 1.2, rgb(120, 80, 20))


def bricks(picture: Picture, colour: Colour, seed: int, size: tuple[int, int] = (26, 11)) -> None:
    """Fill a picture, or a view into one, with a wall of bricks of `size` (width, height)."""
    height, width = picture.shape[:2]
    picture[:] = drawing.mixed(colour, rgb(200, 196, 188), 0.75)
    rng = np.random.default_rng(seed)
    for row, y in enumerate(range(0, height, size[1])):
        for x in range(-(row % 2) * size[0] // 2, width, size[0]):
            tone = (colour[0] + int(rng.integers(-14, 15)), colour[1], colour[2])
            picture[y + 1 : y + size[1], max(x + 1, 0) : x + size[0]] = tone
    drawing.textured(picture, drawing.noise(seed, width, height, (6, 6), 2), 8)


def planks(picture: Picture, colour: Colour, seed: int, width: int) -> None:
    """Fill a picture, or a view into one, with upright boards that show their grain."""
    height, total = picture.shape[:2]
    picture[:] = colour
    drawing.textured(picture, drawing.noise(seed, total, height, (7, 130), 3), 24)
    for x in range(0, total, width):
        picture[:, x : x + 2] = drawing.mixed(colour, drawing.BLACK, 0.6)
        picture[:, x + 2 : x + 4, 0] = np.minimum(picture[:, x + 2 : x + 4, 0].astype(np.int32) + 12, 235)


@dataclass(frozen=True)
class Tree:
    """A leafy crown that sways, painted once and bent for each frame."""

    sprite: Picture
    cover: np.ndarray

    def sway(self, picture: Picture, x: int, y: int, tick: int, seed: int) -> None:
        """Draw the crown with its upper left corner at (x, y)."""
        height = len(self.cover)
        bend = round(90 * math.sin(0.028 * tick + seed) + 50 * drawing.flicker(tick // 3, seed))
        steps = bend * (height - np.arange(height)) // height
        moved = drawing.shift_rows(np.dstack([self.sprite, self.cover]), steps)
        drawing.paste(picture, moved[:, :, :3], moved[:, :, 3], x, y)


def tree(width: int, height: int, colour: Colour, seed: int) -> Tree:
    """A tree with its trunk, `width` × `height` pixels, crown in `colour`."""
    sprite, rng = drawing.blank(width, height, colour), np.random.default_rng(seed)
    cover = drawing.blank(width, height, (0, 0, 0))
    middle, trunk = width / 2, rgb(92, 70, 50)
    stem = ((middle - 9, height * 0.5), (middle + 9, height * 0.5), (middle + 14, height), (middle - 14, height))
    for target, tone in ((sprite, trunk), (cover, (255, 255, 255))):
        drawing.polygon(target, stem, tone)
    for leaf in range(width * height // 55):
        angle, reach = float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0, 1)) ** 0.6
        x = middle + reach * math.cos(angle) * width * 0.4
        y = height * 0.36 + reach * math.sin(angle) * height * 0.32
        # Lit from the upper left, and later leaves lie in front.
        shade = round(10 - 22 * (x + y - middle - height * 0.36) / width + int(rng.integers(-16, 17)) + 8 * leaf / 900)
        tone = (min(max(colour[0] + shade, 20), 225), colour[1], colour[2])
        radii, turn = (5.0 + 3 * reach, 3.5), float(rng.uniform(0, 180))
        drawing.ellipse(sprite, x, y, radii, tone, turn)
        drawing.ellipse(cover, x, y, radii, (255, 255, 255), turn)
    return Tree(sprite, cover[:, :, 0])


@dataclass(frozen=True)
class Water:
    """Two layers of ripples that pass each other, finer towards the horizon."""

    colours: Picture
    layers: tuple[np.ndarray, np.ndarray]
    travel: int

    def paint(self, picture: Picture, x: int, y: int, phase: float) -> None:
        """Draw it with its upper left corner at (x, y). `phase` moves on with time, in pixels of the lowest row."""
        height, width = self.colours.shape[:2]
        near = 8 + 24 * np.arange(height) // height
        ripples = np.zeros((height, width), np.int16)
        for layer, direction, rest in zip(self.layers, (1, -0.6), (self.travel, 0), strict=True):
            steps = near * round(direction * phase) - rest * drawing.MAP_STEPS
            ripples += drawing.shift_rows(layer, steps, width=width)
        ripples -= 256
        area = picture[y : y + height, x : x + width]
        area[:] = self.colours
        drawing.textured(area, ripples, 22)


def water(width: int, height: int, far: Colour, near: Colour, seed: int, *, travel: int) -> Water:
    """Water `width` × `height` pixels, whose `phase` goes from 0 to `travel`."""
    colours = drawing.blank(width, height)
    drawing.gradient(colours, far, near)
    layers = []
    for layer in (0, 1):
        tile = np.zeros((height, width + travel), np.uint8)
        bands = 12
        for band in range(bands):
            rows = slice(height * band // bands, height * (band + 1) // bands)
            cell = (20 + 9 * band, 3 + band)
            tile[rows] = drawing.noise(seed + 20 * layer + band, width + travel, rows.stop - rows.start, cell, 3) + 128
        layers.append(tile)
    return Water(colours, (layers[0], layers[1]), travel)


@dataclass(frozen=True)
class Person:
    """A simple figure; `height` in pixels from head to foot."""

    height: float
    shirt: Colour
    trousers: Colour
    hair: Colour
    stripes: bool = False

    def draw(self, picture: Picture, x: float, y: float, arms_deg: tuple[float, float], stride_deg: float = 8) -> None:
        """Stand with the feet at (x, y). Arms hang at 0°, point sideways at 90° and up at 180°."""
        unit = self.height / 7
        hip, shoulder = y - 3 * unit, y - 5.4 * unit
        thick = max(round(unit * 0.55), 2)
        for side, arm_deg in ((-1, arms_deg[0]), (1, arms_deg[1])):
            lean = math.radians(stride_deg)
            foot = (x + side * 3 * unit * math.sin(lean), hip + 3 * unit * math.cos(lean))
            drawing.stroke(picture, ((x + side * 0.3 * unit, hip), foot), self.trousers, thick + 1)
            drawing.stroke(picture, (foot, (foot[0] + side * 0.4 * unit, foot[1])), rgb(60, 40, 40), thick)
            arm = math.radians(arm_deg)
            joint = (x + side * 0.75 * unit, shoulder + 0.2 * unit)
            hand = (joint[0] + side * 2.2 * unit * math.sin(arm), joint[1] + 2.2 * unit * math.cos(arm))
            drawing.stroke(picture, (joint, hand), self.shirt, thick)
            drawing.disc(picture, *hand, 0.35 * unit, SKIN)
        broad, narrow = 0.95 * unit, 0.7 * unit
        body = ((x - broad, shoulder), (x + broad, shoulder), (x + narrow, hip), (x - narrow, hip))
        drawing.polygon(picture, body, self.shirt)
        if self.stripes:
            for part in (0.25, 0.55, 0.85):
                row = shoulder + part * (hip - shoulder)
                drawing.stroke(picture, ((x - 0.75 * unit, row), (x + 0.75 * unit, row)), rgb(245, 245, 245), 2)
        self._head(picture, x, shoulder - 0.85 * unit, unit)

    def _head(self, picture: Picture, x: float, y: float, unit: float) -> None:
        drawing.disc(picture, x, y - 0.12 * unit, 0.88 * unit, self.hair)
        drawing.ellipse(picture, x, y + 0.08 * unit, (0.72 * unit, 0.78 * unit), SKIN)
        for side in (-1, 1):
            drawing.disc(picture, x + side * 0.28 * unit, y, max(0.09 * unit, 1), rgb(40, 30, 30))
        smile = [(x + 0.3 * unit * s, y + (0.48 - 0.14 * s * s) * unit) for s in (-1, -0.5, 0, 0.5, 1)]
        drawing.stroke(picture, smile, rgb(150, 50, 50), max(round(unit * 0.1), 1))

"""Random backgrounds for `random_clips`: each function fills an image, or a view into one."""

from __future__ import annotations

import math

import cv2
import numpy as np

from demo.tape import drawing
from demo.tape.drawing import Colour, Picture, rgb
from demo.tape.scenes import props

LARGEST_LEAF, SMALLEST_LEAF = 240.0, 5.0
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz 0123456789 .:-&"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def random_colour(rng: np.random.Generator) -> Colour:
    """Mostly the subdued colours of things, now and then a bright one."""
    strength = (8, 30, 70)[int(rng.integers(3))]
    level = rng.uniform(10, 245) + rng.normal(0, strength, 3)
    red, green, blue = (int(value) for value in np.clip(level, 0, 255))
    return rgb(red, green, blue)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 30))


def part_of(world: Picture, rng: np.random.Generator) -> Picture:
    """A view into a part of a picture."""
    height, width = world.shape[:2]
    tall, wide = (int(rng.integers(side // 6, side // 2)) for side in (height, width))
    top, left = int(rng.integers(0, height - tall)), int(rng.integers(0, width - wide))
    return world[top : top + tall, left : left + wide]


def random_words(rng: np.random.Generator, count: int) -> str:
    """Letters for a sign that nobody can read."""
    return "".join(LETTERS[int(index)] for index in rng.integers(0, len(LETTERS), count))


def leaves(world: Picture, rng: np.random.Generator) -> None:
    """Shapes on top of each other; those larger than r cover areas as large at every scale (density ~ r^-3)."""
    height, width = world.shape[:2]
    world[:] = random_colour(rng)
    for _ in range(width * height // 450):
        radius = min(SMALLEST_LEAF / math.sqrt(1 - float(rng.random())), LARGEST_LEAF)
        x, y, turn = float(rng.uniform(0, width)), float(rng.uniform(0, height)), float(rng.uniform(0, 360))
        if rng.random() < 0.5:
            drawing.ellipse(world, x, y, (radius, radius * float(rng.uniform(0.2, 1))), random_colour(rng), turn)
        else:
            count = int(rng.integers(3, 6))
            angles = [math.radians(turn) + 2 * math.pi * (k + float(rng.uniform(0, 0.7))) / count for k in range(count)]
            corners = [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
            drawing.polygon(world, corners, random_colour(rng))
    for _ in range(int(rng.integers(0, 6))):
        clouded = part_of(world, rng)
        cell = int(rng.integers(2, 40))
        drawing.textured(clouded, _clouds(clouded, rng, cell), int(rng.integers(6, 40)))


def _clouds(picture: Picture, rng: np.random.Generator, cell: int, octaves: int = 4) -> np.ndarray:
    height, width = picture.shape[:2]
    return drawing.noise(_seed(rng), width, height, (cell, max(cell * int(rng.integers(1, 4)) // 2, 1)), octaves)


def clouds(world: Picture, rng: np.random.Generator) -> None:
    """Brightness and colour with a natural spectrum: as much power in every octave."""
    world[:] = random_colour(rng)
    strength = int(rng.integers(30, 90))
    drawing.textured(world, _clouds(world, rng, int(rng.integers(30, 260)), 7), strength)
    for channel in (1, 2):
        tint = (_clouds(world, rng, int(rng.integers(40, 260)), 3) * int(rng.integers(5, 30))) >> 6
        world[:, :, channel] = np.clip(world[:, :, channel] + tint, 16, 240)


def landscape(world: Picture, rng: np.random.Generator) -> None:
    """Sky, hills, and a lawn or a wall before them."""
    height, width = world.shape[:2]
    horizon = int(height * rng.uniform(0.3, 0.6))
    props.sky(world[:horizon], random_colour(rng), rgb(206, 222, 236), _seed(rng), int(rng.integers(20, 90)))
    for part in (0.5, 0.8):
        crest = horizon * part + (drawing.noise(_seed(rng), width, 1, (240, 1), 6)[0] * int(rng.integers(8, 50)) >> 6)
        inside = np.arange(horizon)[:, None] >= crest[None, :]
        slope = drawing.blank(width, horizon, random_colour(rng))
        drawing.textured(slope, _clouds(slope, rng, int(rng.integers(10, 60))), int(rng.integers(15, 45)))
        world[:horizon][inside] = slope[inside]
    green = drawing.mixed(rgb(96, 150, 66), random_colour(rng), float(rng.uniform(0, 0.5)))
    props.grass(world, horizon, green, _seed(rng), int(rng.integers(2000, 12000)))
    if rng.random() < 0.7:
        wall(world[horizon - height // 6 : horizon + height // 8, int(rng.integers(0, width // 2)) :], rng)
    if rng.random() < 0.6:
        props.flowers(world, 0, int(height * 0.8), width, height // 10, _seed(rng))
    for _ in range(int(rng.integers(0, 4))):
        tall = int(rng.integers(120, 360))
        tree = props.tree(tall * 4 // 5, tall, drawing.mixed(green, random_colour(rng), 0.3), _seed(rng))
        tree.sway(world, int(rng.integers(0, width - tall)), max(horizon - tall * 2 // 3, 0), 0, 1)


def room(world: Picture, rng: np.random.Generator) -> None:
    """A papered wall with pictures and shelves over a floor of boards."""
    height, width = world.shape[:2]
    floor = int(height * rng.uniform(0.6, 0.85))
    drawing.gradient(world[:floor], random_colour(rng), random_colour(rng))
    stripe, lighter = int(rng.integers(8, 50)), int(rng.integers(-14, 15))
    for x in range(0, width, 2 * stripe):
        column = world[:floor, x : x + stripe, 0]
        column[:] = np.clip(column.astype(np.int32) + lighter, 16, 235)
    drawing.textured(world[:floor], _clouds(world[:floor], rng, 6, 2), int(rng.integers(0, 10)))
    props.planks(world[floor:], random_colour(rng), _seed(rng), int(rng.integers(20, 80)))
    for _ in range(int(rng.integers(2, 6))):
        x, y, wide, tall = (int(rng.integers(*span)) for span in ((0, width - 200), (0, floor), (60, 190), (50, 170)))
        drawing.rectangle(world, x - 8, y - 8, x + wide + 8, y + tall + 8, random_colour(rng))
        framed = world[y : y + tall, x : x + wide]
        (leaves, clouds, shelf)[int(rng.integers(3))](framed, rng)


def shelf(world: Picture, rng: np.random.Generator) -> None:
    """Backs of books."""
    height, width = world.shape[:2]
    world[:] = drawing.mixed(random_colour(rng), drawing.BLACK, 0.7)
    x = 0
    while x < width:
        thick, top = int(rng.integers(6, 22)), int(rng.integers(0, max(height // 3, 1)))
        tone = random_colour(rng)
        drawing.rectangle(world, x, top, x + thick - 1, height, tone)
        for part in rng.uniform(0.1, 0.9, 2):
            row = top + float(part) * (height - top)
            drawing.stroke(world, ((x + 1, row), (x + thick - 2, row)), random_colour(rng), 2)
        x += thick


def wall(world: Picture, rng: np.random.Generator) -> None:
    """Bricks or boards."""
    if rng.random() < 0.5:
        high = int(rng.integers(7, 20))
        props.bricks(world, random_colour(rng), _seed(rng), (high * 2 + int(rng.integers(0, 12)), high))
    else:
        props.planks(world, random_colour(rng), _seed(rng), int(rng.integers(12, 60)))


def lettering(world: Picture, rng: np.random.Generator) -> None:
    """Lines of text of all sizes on a plain ground."""
    height, width = world.shape[:2]
    world[:] = random_colour(rng)
    ink, y = random_colour(rng), 0
    while y < height + 20:
        size = float(rng.uniform(0.4, 2.4))
        y += round(34 * size)
        text = random_words(rng, round(width / 16 / size))
        font = FONTS[int(rng.integers(len(FONTS)))]
        cv2.putText(world, text, (int(rng.integers(0, 30)), y), font, size, ink, max(round(size * 2), 1), cv2.LINE_AA)


def lines(world: Picture, rng: np.random.Generator) -> None:
    """Parallel lines in one direction, finer and coarser: fences, blinds, stripes of a shirt."""
    height, width = world.shape[:2]
    world[:] = random_colour(rng)
    ink, angle, thick = random_colour(rng), float(rng.uniform(0, math.pi)), int(rng.integers(1, 9))
    along, reach = (math.cos(angle), math.sin(angle)), width + height
    for place in range(-reach, reach, thick * int(rng.integers(2, 6))):
        x, y = width / 2 - place * along[1], height / 2 + place * along[0]
        ends = ((x - reach * along[0], y - reach * along[1]), (x + reach * along[0], y + reach * along[1]))
        drawing.stroke(world, ends, ink, thick)


WORLDS = (landscape, landscape, room, room, leaves, leaves, clouds)
DETAILS = (leaves, clouds, shelf, wall, lettering, lines)

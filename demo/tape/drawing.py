"""Deterministic drawing: the same pixels on every machine.

Pictures are 8-bit Y'CbCr (BT.601, studio range), shape = (height, width, 3). Positions are rounded to 1/16 or 1/32
pixel before anything is drawn, and pixels are worked on in integers or in floats that hold whole numbers below 2^24, so
that no result depends on a processor's vector units, on the order of sums or on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from . import storyboard

Colour = tuple[int, int, int]
"""Y', Cb, Cr."""
Point = tuple[float, float]
Picture = np.ndarray[Any, np.dtype[np.uint8]]
Paint = Callable[[int], Picture]
"""Draws a scene at a tick: the n-th truth frame (1/50 s) from its start, as (576, 720, 3)."""

SUBPIXEL_BITS = 4
MAP_STEPS = 32
"""Positions between two pixels in cv2.remap with fixed-point maps."""

BLACK: Colour = (16, 128, 128)


def rgb(red: int, green: int, blue: int) -> Colour:
    """A colour given as 8-bit R'G'B' (BT.601 coefficients times 256)."""
    luma = 16 + ((66 * red + 129 * green + 25 * blue + 128) >> 8)
    blueness = 128 + ((-38 * red - 74 * green + 112 * blue + 128) >> 8)
    return luma, blueness, 128 + ((112 * red - 94 * green - 18 * blue + 128) >> 8)


def mixed(one: Colour, other: Colour, part: float) -> Colour:
    """A colour between two; `part` is the share of the other."""
    share = round(part * 256)
    y, cb, cr = ((a * (256 - share) + b * share + 128) >> 8 for a, b in zip(one, other, strict=True))
    return y, cb, cr


def blank(width: int, height: int, colour: Colour = BLACK) -> Picture:
    """A picture of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def gradient(picture: Picture, top: Colour, bottom: Colour) -> None:
    """Fill a picture, or a view into one, from top to bottom."""
    height = len(picture)
    for channel in range(3):
        column = np.arange(height) * (bottom[channel] - top[channel]) * 2 + height
        picture[:, :, channel] = (top[channel] + column // (2 * height))[:, None]


def noise(seed: int, width: int, height: int, cell: tuple[int, int], octaves: int = 3) -> np.ndarray:
    """Cloudy noise whose largest features are `cell` (width, height) pixels. shape = (height, width), int32, ±128."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.int32)
    weights = 0
    for octave in range(octaves):
        cells = [max(size >> octave, 1) for size in cell]
        rows, columns = height // cells[1] + 2, width // cells[0] + 2
        grid = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
        whole = cv2.resize(grid, (columns * cells[0], rows * cells[1]), interpolation=cv2.INTER_LINEAR_EXACT)
        weight = 1 << (octaves - octave)
        total += weight * (whole[:height, :width].astype(np.int32) - 128)
        weights += weight
    return total // weights


def textured(picture: Picture, texture: np.ndarray, strength: int) -> None:
    """Brighten and darken a picture, or a view into one, by a texture of ±128 times strength / 64."""
    luma = picture[:, :, 0] + ((texture.astype(np.int16) * np.int16(strength)) >> 6)
    picture[:, :, 0] = np.clip(luma, 16, 235)


def polygon(picture: Picture, points: Sequence[Point], colour: Colour) -> None:
    """A filled polygon with smooth edges."""
    cv2.fillPoly(picture, [_fixed(points)], colour, cv2.LINE_AA, SUBPIXEL_BITS)


def rectangle(picture: Picture, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    """A filled upright rectangle with smooth edges."""
    polygon(picture, ((left, top), (right, top), (right, bottom), (left, bottom)), colour)


def ellipse(picture: Picture, x: float, y: float, radii: Point, colour: Colour, turn_deg: float = 0) -> None:
    """A filled ellipse with smooth edges."""
    turn = math.radians(turn_deg)
    steps = 40
    corners = []
    for step in range(steps):
        angle = 2 * math.pi * step / steps
        along, across = radii[0] * math.cos(angle), radii[1] * math.sin(angle)
        corners.append(
            (x + along * math.cos(turn) - across * math.sin(turn), y + along * math.sin(turn) + across * math.cos(turn))
        )
    polygon(picture, corners, colour)


def disc(picture: Picture, x: float, y: float, radius: float, colour: Colour) -> None:
    """A filled circle with smooth edges."""
    centre = _fixed([(x, y)])[0]
    cv2.circle(picture, _pair(centre), round(radius * (1 << SUBPIXEL_BITS)), colour, -1, cv2.LINE_AA, SUBPIXEL_BITS)


def stroke(picture: Picture, points: Sequence[Point], colour: Colour, width: int = 1) -> None:
    """A line through points, `width` pixels wide, with smooth edges."""
    cv2.polylines(picture, [_fixed(points)], False, colour, width, cv2.LINE_AA, SUBPIXEL_BITS)


def blend(picture: Picture, colour: Colour, cover: np.ndarray, x: int, y: int) -> None:
    """Paint a colour through a mask (uint8, 255 covers) whose upper left corner is at (x, y); may overhang."""
    height, width = picture.shape[:2]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + cover.shape[1], width), min(y + cover.shape[0], height)
    if left >= right or top >= bottom:
        return
    _cover(
        picture[top:bottom, left:right],
        np.array(colour, np.uint8),
        cover[top - y : bottom - y, left - x : right - x],
    )


def paste(picture: Picture, sprite: Picture, cover: np.ndarray, x: int, y: int) -> None:
    """Put a sprite on a picture through its mask (uint8); it must lie inside."""
    height, width = cover.shape
    _cover(picture[y : y + height, x : x + width], sprite, cover)


def _cover(area: Picture, what: np.ndarray, cover: np.ndarray) -> None:
    mask = cover[:, :, None].astype(np.uint16)
    # At most 255 * 255 + 127, which 16 bits hold.
    area[:] = (area * (255 - mask) + what * mask + 127) // 255


def soft_disc(radius: int, peak: int) -> np.ndarray:
    """A round mask that fades outwards from `peak` (0 to 255). shape = (2 * radius + 1,) * 2, uint8."""
    axis = np.arange(-radius, radius + 1) ** 2
    inside = np.maximum(radius * radius - axis[:, None] - axis[None, :], 0)
    return np.asarray(peak * inside**2 // radius**4, np.uint8)


def shift_rows(picture: np.ndarray, steps: np.ndarray, *, width: int | None = None) -> np.ndarray:
    """Move each row to the right by `steps` / 32 pixels (int, one for each row), repeating the edge.

    `picture` is (height, width[, channels]), uint8 or float32 with whole numbers below 2^12; of a wide one only the
    first `width` columns of the result can be asked for.
    """
    height, width = picture.shape[0], width or picture.shape[1]
    back = -steps.astype(np.int32)
    columns = np.arange(width)[None, :] + (back >> 5)[:, None]
    between = np.broadcast_to((back & 31)[:, None], columns.shape)
    return _remap(picture, columns, np.arange(height)[:, None], between)


def view(world: Picture, x: float, y: float, zoom: float = 1.0) -> Picture:
    """Camera view of a world of square pixels, with its upper left corner at (x, y).

    At zoom 1 it sees 768 × 576 of them. shape = (576, 720, 3).
    """
    aspect = float(storyboard.SAMPLE_ASPECT_RATIO)
    columns = np.rint((x + np.arange(storyboard.WIDTH) * aspect / zoom) * MAP_STEPS).astype(np.int32)
    rows = np.rint((y + np.arange(storyboard.HEIGHT) / zoom) * MAP_STEPS).astype(np.int32)
    between = (rows & 31)[:, None] * MAP_STEPS + (columns & 31)[None, :]
    return _remap(world, (columns >> 5)[None, :], (rows >> 5)[:, None], between)


def shake(tick: int, strength: float) -> Point:
    """Offset of a hand-held camera at a tick, in pixels."""
    time_s = tick / float(storyboard.FIELD_RATE)
    x = math.sin(5.3 * time_s) + 0.6 * math.sin(11.9 * time_s + 1) + 0.3 * math.sin(23.1 * time_s + 2)
    y = math.sin(4.1 * time_s + 3) + 0.6 * math.sin(9.7 * time_s) + 0.3 * math.sin(19.3 * time_s + 1)
    return strength * x, strength * y


def flicker(tick: int, seed: int) -> float:
    """Value of an unsteady light or wind, which changes smoothly between -1 and 1."""
    time_s, phase = tick / float(storyboard.FIELD_RATE), 1.7 * seed
    waves = (
        math.sin(13 * time_s + phase) + math.sin(21.7 * time_s + 2.3 * phase) + math.sin(34.1 * time_s + 3.1 * phase)
    )
    return waves / 3


def dimmed(picture: Picture, light: float) -> Picture:
    """Fade an image towards black; 1 leaves it unchanged."""
    share = round(light * 256)
    black = np.array(BLACK, np.int32)
    return (black + (((picture.astype(np.int32) - black) * share + 128) >> 8)).astype(np.uint8)


def lit(picture: Picture, glow: np.ndarray, light: float) -> None:
    """Add a glow (uint8, height × width) times `light` to the luma of a picture."""
    luma = picture[:, :, 0] + ((glow.astype(np.int16) * np.int16(round(light * 64))) >> 6)
    picture[:, :, 0] = np.clip(luma, 16, 235)


def stamp(picture: Picture, text: str) -> None:
    """Write a camcorder's date into the image."""
    for colour, width in ((BLACK, 6), (rgb(255, 250, 220), 2)):
        cv2.putText(picture, text, (330, 520), cv2.FONT_HERSHEY_SIMPLEX, 0.85, colour, width, cv2.LINE_AA)


def _remap(picture: np.ndarray, columns: np.ndarray, rows: np.ndarray, between: np.ndarray) -> np.ndarray:
    """`cv2.remap` from whole places and what lies between them: 32 times the 1/32 rows plus the 1/32 columns."""
    whole = np.empty((*between.shape, 2), np.int16)
    whole[:, :, 0] = columns
    whole[:, :, 1] = rows
    fractions = between.astype(np.uint16)
    return cv2.remap(picture, whole, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _fixed(points: Sequence[Point]) -> np.ndarray:
    return np.array([[round(c * (1 << SUBPIXEL_BITS)) for c in point] for point in points], np.int32)


def _pair(point: np.ndarray) -> tuple[int, int]:
    return int(point[0]), int(point[1])

"""Scenes of the demo tape by the water: pier, beach."""

from __future__ import annotations

import math

import numpy as np

from demo.tape import drawing
from demo.tape.drawing import Paint, Picture, Point, rgb

from . import props

HORIZON = 262


def pier() -> Paint:
    """A long look at a lake: a sailing boat crosses, it grows still, ducks come by, the camera goes closer."""
    world = _lake_world()
    surface = props.water(860, 640 - HORIZON, rgb(150, 178, 200), rgb(44, 92, 116), 61, travel=520)
    angler = props.Person(150, rgb(70, 120, 190), rgb(120, 100, 70), rgb(230, 200, 110))
    deck = _deck()
    crown = props.tree(210, 290, rgb(70, 122, 60), 68)

    def draw(tick: int) -> Picture:
        picture = world.copy()
        surface.paint(picture, 0, HORIZON, _calmed(tick) * 0.35)
        _boat(picture, 900 - 1.45 * tick)
        for duck in range(4):
            _duck(picture, 30 + 1.0 * (tick - 860) - 52 * duck, 470 + 8 * (duck % 2), tick + 17 * duck)
        picture[496:640, 430:860] = np.where(deck[:, :, :1] > 0, deck, picture[496:640, 430:860])
        drawing.ellipse(picture, 70, 322, (190, 30), rgb(84, 112, 62))
        drawing.ellipse(picture, 60, 312, (170, 20), rgb(112, 146, 74))
        crown.sway(picture, 0, 20, round(_calmed(tick)), 3)
        _fishing(picture, angler, tick)
        closer = min(max((tick - 1000) / 330, 0), 1)
        zoom = 1 + 0.5 * closer * closer * (3 - 2 * closer)
        return drawing.view(picture, 590 - 546 / zoom, 400 - 368 / zoom, zoom)

    return draw


def _calmed(tick: int) -> float:
    """Ticks of motion so far: wind and water pause from 14 to 17 s and start again slowly."""
    before, after = min(tick, 700), max(tick - 850, 0)
    pause = min(max(tick - 700, 0), 150)
    return before + 0.1 * pause + after


def _lake_world() -> Picture:
    world = drawing.blank(860, 640)
    props.sky(world[:HORIZON], rgb(88, 142, 212), rgb(214, 224, 230), 62, 80)
    for seed, top, tone in ((63, 150, rgb(128, 150, 160)), (64, 196, rgb(84, 118, 92))):
        crest = top + (drawing.noise(seed, 860, 1, (170, 1), 5)[0] >> 1)
        shore = np.arange(HORIZON)[:, None] >= crest[None, :]
        slope = drawing.blank(860, HORIZON, tone)
        drawing.textured(slope, drawing.noise(seed + 5, 860, HORIZON, (18, 12), 4), 30)
        world[:HORIZON][shore] = slope[shore]
    for x, wide, tall in ((300, 34, 22), (352, 28, 26), (590, 40, 24)):
        drawing.rectangle(world, x, 252 - tall, x + wide, 252, rgb(232, 222, 200))
        drawing.polygon(
            world, ((x - 4, 252 - tall), (x + wide / 2, 234 - tall), (x + wide + 4, 252 - tall)), rgb(170, 70, 54)
        )
        drawing.rectangle(world, x + 8, 240, x + 14, 247, rgb(70, 80, 90))
    drawing.rectangle(world, 0, HORIZON - 8, 860, HORIZON, rgb(120, 124, 88))
    return world


def _deck() -> Picture:
    """The pier, from the right; black where there is none. shape = (144, 430, 3)."""
    deck = drawing.blank(430, 144, (0, 0, 0))
    boards = drawing.blank(430, 60)
    props.planks(boards, rgb(166, 136, 100), 65, 24)
    deck[14:74] = boards
    deck[14:18] = rgb(206, 180, 140)
    deck[70:78] = rgb(96, 74, 54)
    for x in (24, 150, 276, 402):
        props.planks(deck[78:144, x : x + 22], rgb(108, 84, 62), x, 40)
    return deck


def _boat(picture: Picture, x: float) -> None:
    """A sailing boat whose bow is at x, and its reflection."""
    if not -160 < x < 900:
        return
    y = 330 + 1.5 * math.sin(x / 19)
    lean = 4 * math.sin(x / 37)
    mirror: list[Point] = [(x + 72, y + 16), (x + 72 - lean, y + 92), (x + 128, y + 16)]
    drawing.polygon(picture, mirror, rgb(150, 176, 190))
    drawing.polygon(picture, ((x, y), (x + 130, y), (x + 112, y + 20), (x + 24, y + 20)), rgb(168, 44, 40))
    drawing.stroke(picture, ((x, y), (x + 130, y)), rgb(245, 240, 230), 3)
    drawing.stroke(picture, ((x + 66, y), (x + 66 + lean, y - 132)), rgb(120, 90, 60), 4)
    drawing.polygon(picture, ((x + 71, y - 8), (x + 70 + lean, y - 128), (x + 132, y - 10)), rgb(246, 244, 236))
    drawing.polygon(picture, ((x + 61, y - 8), (x + 63 + lean, y - 116), (x + 6, y - 8)), rgb(236, 228, 210))
    for part in (0.3, 0.6):
        row = y - 8 - part * 112
        drawing.stroke(picture, ((x + 72, row), (x + 130 - 60 * part, row)), rgb(200, 60, 60), 3)
    drawing.disc(picture, x + 96, y - 12, 8, props.SKIN)


def _duck(picture: Picture, x: float, y: float, tick: int) -> None:
    if not -40 < x < 900:
        return
    y += 1.5 * math.sin(0.12 * tick)
    drawing.stroke(picture, ((x - 30, y + 9), (x + 24, y + 9)), rgb(170, 196, 206), 2)
    drawing.ellipse(picture, x, y, (21, 10), rgb(140, 110, 80))
    drawing.ellipse(picture, x - 4, y - 2, (12, 5), rgb(196, 180, 150), -10)
    drawing.disc(picture, x + 18, y - 13, 8, rgb(30, 90, 60))
    drawing.polygon(picture, ((x + 24, y - 15), (x + 35, y - 11), (x + 24, y - 9)), rgb(236, 170, 40))
    drawing.disc(picture, x + 21, y - 15, 1.5, rgb(240, 240, 240))


def _fishing(picture: Picture, angler: props.Person, tick: int) -> None:
    """A child with a rod; the float nods when the water moves."""
    move = _calmed(tick)
    angler.draw(picture, 640, 532, (84 + 3 * math.sin(0.05 * move), 20))
    nod = 2.5 * math.sin(0.09 * move)
    tip = (452.0, 330 + 2 * math.sin(0.05 * move))
    drawing.stroke(picture, ((592, 424), tip), rgb(110, 76, 44), 3)
    drawing.stroke(picture, (tip, (440, 452 + nod)), rgb(226, 226, 226))
    drawing.disc(picture, 440, 456 + nod, 5, rgb(226, 50, 40))


def beach() -> Paint:
    """A beach with a kite and a sand castle; waves roll in."""
    world, in_front = _beach_world()
    surface = props.water(880, 150, rgb(90, 150, 180), rgb(60, 140, 160), 71, travel=220)

    def draw(tick: int) -> Picture:
        picture = world.copy()
        surface.paint(picture, 0, 230, 0.8 * tick)
        _surf(picture, tick)
        np.copyto(picture, world, where=in_front)
        _kite(picture, 560 + 40 * math.sin(0.021 * tick), 120 + 30 * math.sin(0.034 * tick), tick)
        dx, dy = drawing.shake(tick, 2.2)
        return drawing.view(picture, 50 + dx + 0.1 * tick, 32 + dy)

    return draw


def _beach_world() -> tuple[Picture, np.ndarray]:
    """The beach, and where things stand on it that hide the sea: shape = (640, 880, 1), bool."""
    world = drawing.blank(880, 640, rgb(90, 160, 184))
    props.sky(world[:230], rgb(60, 136, 220), rgb(190, 218, 236), 72, 60)
    world[380:] = rgb(226, 200, 148)
    drawing.textured(world[380:], drawing.noise(73, 880, 260, (60, 16), 5), 16)
    drawing.textured(world[380:], drawing.noise(74, 880, 260, (2, 2), 1), 6)
    empty = world.copy()
    _sunshade(world)
    _castle(world)
    in_front = (world != empty).any(axis=2, keepdims=True)
    return world, in_front


def _sunshade(world: Picture) -> None:
    x, y = 220, 420
    drawing.ellipse(world, x + 40, y + 92, (120, 20), rgb(176, 150, 108))
    drawing.stroke(world, ((x, y - 80), (x + 16, y + 90)), rgb(236, 230, 220), 6)
    for part in range(6):
        left, right = math.pi * (1 + part / 6), math.pi * (1 + (part + 1) / 6)
        rim = [left + (right - left) * step / 6 for step in range(7)]
        tone = rgb(220, 50, 50) if part % 2 else rgb(245, 240, 230)
        edge = [(x + 130 * math.cos(a), y - 10 + 84 * math.sin(a)) for a in rim]
        drawing.polygon(world, [(x, y - 94), *edge], tone)
    drawing.polygon(world, ((90, 520), (230, 505), (262, 560), (110, 580)), rgb(70, 110, 180))
    for part in range(5):
        shift = 30 * part
        drawing.stroke(world, ((98 + shift, 519 - part * 3), (118 + shift, 578 - part * 3)), rgb(240, 220, 120), 5)


def _castle(world: Picture) -> None:
    sand, dark = rgb(206, 174, 116), rgb(160, 130, 84)
    for x, top, wide in ((560, 470, 54), (626, 440, 60), (698, 470, 54)):
        drawing.rectangle(world, x, top, x + wide, 566, sand)
        drawing.rectangle(world, x + wide - 14, top, x + wide, 566, dark)
        for notch in range(3):
            left = x + notch * wide / 2.6
            drawing.rectangle(world, left, top - 14, left + wide / 5, top, sand)
        drawing.rectangle(world, x + 20, top + 24, x + 30, top + 44, dark)
    drawing.textured(world[426:566, 560:752], drawing.noise(75, 192, 140, (4, 4), 2), 12)
    drawing.stroke(world, ((656, 440), (656, 392)), rgb(120, 90, 60), 3)
    drawing.polygon(world, ((657, 394), (692, 404), (657, 416)), rgb(40, 90, 190))


def _surf(picture: Picture, tick: int) -> None:
    """Foam that runs up the sand and back."""
    reach = 388 + 16 * math.sin(0.045 * tick)
    edge: list[Point] = []
    for x in range(-10, 900, 15):
        edge.append((x, reach + 9 * math.sin(x / 47 + 0.02 * tick) + 5 * math.sin(x / 19 - 0.03 * tick)))
    drawing.polygon(picture, [(-10, 372), *edge, (900, 372)], rgb(120, 180, 184))
    drawing.stroke(picture, edge, rgb(250, 252, 252), 7)
    for crest in range(3):
        row = 250 + (0.5 * tick + 45 * crest) % 130
        line = [(x, row + (row - 240) / 30 * math.sin(x / 31 + crest)) for x in range(-10, 900, 20)]
        drawing.stroke(picture, line, rgb(226, 240, 240), max(round((row - 230) / 34), 1))


def _kite(picture: Picture, x: float, y: float, tick: int) -> None:
    drawing.polygon(picture, ((x, y - 46), (x + 34, y), (x, y + 58), (x - 34, y)), rgb(240, 200, 40))
    drawing.polygon(picture, ((x, y - 46), (x + 34, y), (x, y)), rgb(220, 50, 60))
    drawing.polygon(picture, ((x, y + 58), (x - 34, y), (x, y)), rgb(50, 90, 200))
    tail = [(x + 12 * math.sin(0.5 * s - 0.12 * tick) * s / 8, y + 58 + 9 * s) for s in range(16)]
    drawing.stroke(picture, tail, rgb(230, 230, 230), 2)
    for bow in (4, 8, 12):
        drawing.disc(picture, *tail[bow], 5, rgb(220, 60, 120))
    drawing.stroke(picture, ((x, y + 10), (x + 160, 640)), rgb(230, 230, 230))

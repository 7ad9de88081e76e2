"""Scenes of the demo tape around the house: garden, swing, evening."""

from __future__ import annotations

import math

from demo.tape import drawing
from demo.tape.drawing import Paint, Picture, rgb

from . import props

# Worlds are larger than the 768 × 576 pixels that are seen, for the hand that holds the camera.
MARGIN_X, MARGIN_Y = 44, 32


def garden() -> Paint:
    """A child throws its ball over the lawn; a tree sways in the wind."""
    world = _garden_world()
    crown = props.tree(250, 330, rgb(62, 120, 44), 5)
    child = props.Person(150, rgb(220, 60, 50), rgb(50, 70, 140), rgb(110, 70, 40), stripes=True)

    def draw(tick: int) -> Picture:
        picture = world.copy()
        crown.sway(picture, 580, 40, tick, 1)
        lift = 150 * math.sin(0.05 * tick)
        child.draw(picture, 330, 500, (60, 110 + 0.4 * lift))
        _ball(picture, tick)
        dx, dy = drawing.shake(tick, 2.2)
        return drawing.view(picture, MARGIN_X + dx + 0.12 * tick, MARGIN_Y + dy)

    return draw


def _garden_world() -> Picture:
    world = drawing.blank(900, 640)
    props.sky(world[:280], rgb(96, 150, 220), rgb(190, 215, 235), 11, 60)
    hedge = world[215:300]
    hedge[:] = rgb(52, 92, 44)
    drawing.textured(hedge, drawing.noise(12, 900, 85, (14, 12), 3), 34)
    props.grass(world, 290, rgb(92, 150, 62), 13, 7000)
    for x in range(250, 900, 17):
        props.planks(world[222:312, x : x + 13], rgb(196, 170, 128), x, 40)
    for y in (238, 284):
        drawing.rectangle(world, 250, y, 900, y + 8, rgb(176, 150, 110))
    props.bricks(world[0:430, 0:190], rgb(164, 86, 66), 14)
    drawing.rectangle(world, 40, 150, 150, 300, rgb(240, 240, 235))
    drawing.gradient(world[160:290, 50:140], rgb(120, 150, 180), rgb(60, 80, 100))
    for x, y in ((92, 160), (50, 222)):
        drawing.rectangle(world, x, y, x + (6 if y == 160 else 90), y + (130 if y == 160 else 6), rgb(240, 240, 235))
    props.flowers(world, 0, 425, 230, 55, 15)
    return world


def _ball(picture: Picture, tick: int) -> None:
    """A beach ball that bounces across the lawn and turns."""
    x = 380 + 1.9 * (tick % 220)
    height = 150 * abs(math.sin(0.062 * tick + 0.6))
    y, radius = 500 - height, 27
    drawing.ellipse(picture, x + 0.3 * height, 528, (24 + 0.05 * height, 6), rgb(58, 100, 42))
    drawing.disc(picture, x, y, radius, rgb(245, 245, 240))
    for sector, colour in enumerate((rgb(220, 40, 40), rgb(40, 90, 200), rgb(245, 200, 40))):
        start = 0.07 * tick + sector * 2 * math.pi / 3
        rim = [start + step * math.pi / 18 for step in range(7)]
        drawing.polygon(picture, [(x, y), *((x + radius * math.cos(a), y + radius * math.sin(a)) for a in rim)], colour)
    drawing.disc(picture, x - 9, y - 11, 5, rgb(255, 255, 255))


def swing() -> Paint:
    """A playground: a child on a swing, another one waves."""
    world = _playground_world()
    crown = props.tree(230, 300, rgb(70, 128, 52), 25)
    waving = props.Person(140, rgb(250, 200, 60), rgb(90, 60, 120), rgb(60, 40, 30))

    def draw(tick: int) -> Picture:
        picture = world.copy()
        crown.sway(picture, 22, 10, tick, 2)
        _swing(picture, math.radians(38) * math.sin(2 * math.pi * tick / 118))
        waving.draw(picture, 690, 560, (25, 150 + 28 * math.sin(0.24 * tick)))
        return drawing.view(picture, MARGIN_X, MARGIN_Y)

    return draw


def _playground_world() -> Picture:
    world = drawing.blank(860, 640)
    props.sky(world[:300], rgb(110, 165, 225), rgb(205, 222, 235), 21, 75)
    for row, tone in ((205, rgb(70, 104, 70)), (240, rgb(58, 98, 50))):
        bush = world[row:330]
        bush[:] = tone
        drawing.textured(bush, drawing.noise(row, 860, 330 - row, (22, 16), 3), 34)
    props.grass(world, 320, rgb(104, 156, 70), 22, 6000)
    drawing.ellipse(world, 560, 585, (250, 46), rgb(216, 190, 140))
    drawing.textured(world[540:632, 310:810], drawing.noise(23, 500, 92, (4, 3), 2), 10)
    _slide(world)
    for foot in (250, 530):
        for lean in (-46, 46):
            drawing.stroke(world, ((foot, 110), (foot + lean, 480)), rgb(190, 50, 50), 9)
    drawing.stroke(world, ((238, 108), (542, 108)), rgb(200, 60, 60), 10)
    return world


def _slide(world: Picture) -> None:
    blue, ladder = rgb(50, 90, 180), rgb(220, 190, 60)
    for x in (640, 672):
        drawing.stroke(world, ((x, 200), (x, 440)), ladder, 6)
    for y in range(225, 440, 26):
        drawing.stroke(world, ((640, y), (672, y)), ladder, 4)
    drawing.polygon(world, ((660, 205), (690, 205), (835, 430), (850, 455), (815, 455)), blue)
    drawing.polygon(world, ((672, 212), (684, 212), (826, 430), (812, 430)), rgb(190, 205, 225))


def _swing(picture: Picture, angle: float) -> None:
    """The swing at an angle, seen from the side, with a child on it."""
    length = 300
    x, y = 390 + length * math.sin(angle), 110 + length * math.cos(angle)
    along, across = (math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))

    def at(right: float, down: float) -> tuple[float, float]:
        return x + right * along[0] + down * across[0], y + right * along[1] + down * across[1]

    drawing.ellipse(picture, x, 500, (50, 9), rgb(70, 112, 48))
    for side in (-22, 22):
        drawing.stroke(picture, ((390 + side, 110), at(side, 0)), rgb(90, 90, 96), 3)
    drawing.stroke(picture, (at(-30, 0), at(30, 0)), props.WOOD, 8)
    bend = 20 * math.sin(angle)
    drawing.stroke(picture, (at(0, -8), at(34, -4), at(44 + bend, 38)), rgb(40, 60, 130), 13)
    drawing.stroke(picture, (at(0, -8), at(-6, -62)), rgb(40, 150, 110), 30)
    drawing.stroke(picture, (at(-4, -58), at(20, -70)), rgb(40, 150, 110), 10)
    drawing.disc(picture, *at(-9, -98), 22, rgb(190, 140, 60))
    drawing.disc(picture, *at(-4, -95), 19, props.SKIN)
    drawing.disc(picture, *at(5, -98), 2, rgb(40, 30, 30))
    drawing.stroke(picture, (at(2, -86), at(9, -88)), rgb(150, 50, 50), 2)


def house() -> Paint:
    """An evening: from the door with somebody waving, back to the whole house under the first stars."""
    world = _house_world()
    waving = props.Person(190, rgb(90, 60, 140), rgb(60, 60, 70), rgb(120, 110, 100))

    def draw(tick: int) -> Picture:
        picture = world.copy()
        waving.draw(picture, 846, 905, (15, 148 + 26 * math.sin(0.2 * tick)))
        # From 1 to one half, at an even pace for the eye.
        zoom = 2.0 ** -(min(max((tick - 24) / 110, 0), 1) * 0.9)
        dx, dy = drawing.shake(tick, 2.4)
        return drawing.view(picture, 846 - 384 / zoom + dx, max(800 - 330 / zoom, 20) + dy, zoom)

    return draw


def _house_world() -> Picture:
    world = drawing.blank(1640, 1200)
    props.sky(world[:760], rgb(40, 44, 92), rgb(226, 140, 92), 31, 40)
    for x, y in ((180, 90), (420, 160), (700, 60), (1130, 120), (1400, 70), (1290, 210)):
        drawing.disc(world, x, y, 2, rgb(240, 240, 220))
    ridge = [(0, 760), *((x, 690 + 26 * math.sin(x / 90) + 14 * math.sin(x / 31)) for x in range(0, 1660, 20))]
    drawing.polygon(world, [*ridge, (1640, 760)], rgb(44, 52, 58))
    props.grass(world, 740, rgb(58, 84, 52), 32, 5000)
    props.bricks(world[430:900, 460:1240], rgb(150, 84, 64), 33)
    _roof(world)
    for x in (530, 660, 960, 1090):
        _window(world, x, 520 if x in {660, 960} else 640)
    props.planks(world[640:900, 790:900], rgb(80, 54, 36), 34, 18)
    drawing.gradient(world[660:900, 800:890], rgb(250, 214, 130), rgb(190, 130, 70))
    for x in range(0, 1640, 26):
        top = 930 if not 760 < x < 930 else 1010
        if top == 930:
            drawing.polygon(
                world, ((x, 945), (x + 8, 930), (x + 16, 945), (x + 16, 1030), (x, 1030)), rgb(190, 186, 190)
            )
    drawing.polygon(world, ((790, 900), (900, 900), (1010, 1200), (680, 1200)), rgb(140, 126, 112))
    drawing.textured(world[900:1200, 680:1010], drawing.noise(35, 330, 300, (24, 14), 3), 14)
    return world


def _roof(world: Picture) -> None:
    tile = rgb(120, 52, 46)
    for row in range(18):
        y, half = 440 - 13 * row, 430 - 15 * row
        for x in range(850 - half, 850 + half, 22):
            shade = (tile[0] + (x * 7 + row * 13) % 17 - 8, tile[1], tile[2])
            drawing.polygon(world, ((x, y - 14), (x + 21, y - 14), (x + 21, y), (x + 10, y + 4), (x, y)), shade)
    props.bricks(world[170:320, 1010:1070], rgb(140, 74, 58), 36, (18, 9))


def _window(world: Picture, x: int, y: int) -> None:
    drawing.rectangle(world, x - 6, y - 6, x + 86, y + 106, rgb(226, 220, 206))
    drawing.gradient(world[y : y + 100, x : x + 80], rgb(255, 226, 150), rgb(226, 164, 90))
    for side in (0, 56):
        drawing.polygon(
            world, ((x + side, y), (x + side + 24, y), (x + side + 12, y + 100), (x + side, y + 100)), rgb(206, 96, 80)
        )
    drawing.rectangle(world, x + 37, y, x + 43, y + 100, rgb(226, 220, 206))
    drawing.rectangle(world, x, y + 46, x + 80, y + 52, rgb(226, 220, 206))

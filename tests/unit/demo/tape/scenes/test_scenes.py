from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from demo import SCENES
from demo.tape import drawing, scenes

TICKS = {scene.name: scene.span.frames * scenes.TICKS_PER_FRAME for scene in SCENES}


@pytest.fixture(scope="module")
def paints():
    return {scene.name: scenes.scene_paint(scene) for scene in SCENES}


@pytest.mark.parametrize("name", TICKS)
def test_scenes_have_detail_move_and_keep_to_the_studio_range(paints, name):
    middle = TICKS[name] // 2
    one, other = paints[name](middle), paints[name](middle + 10)
    assert one.shape == (576, 720, 3)
    assert one.dtype == np.uint8
    assert one[:, :, 0].min() >= 16
    assert one[:, :, 0].max() <= 235
    assert one[:, :, 0].std() > 10
    assert (one != other).any()


def test_one_scene_is_dark_and_the_others_are_not(paints):
    brightness = {name: paints[name](TICKS[name] // 2)[:, :, 0].mean() for name in TICKS}
    assert brightness["christmas"] < 55
    assert all(value > 100 for name, value in brightness.items() if name != "christmas")


def test_the_cake_fades_to_black_and_the_mountains_come_out_of_it(paints):
    black = np.array(drawing.BLACK)
    assert (paints["cake"](TICKS["cake"] - 1) == black).all()
    assert (paints["mountains"](0) == black).all()
    fading = [paints["cake"](tick)[:, :, 0].mean() for tick in range(TICKS["cake"] - 36, TICKS["cake"], 7)]
    assert fading == sorted(fading, reverse=True)


def test_a_moment_looks_the_same_whoever_asks_and_when(paints):
    ticks = [5, 80, 5, 81, 80]
    with ThreadPoolExecutor(3) as pool:
        pictures = list(pool.map(paints["garden"], ticks))
    assert (pictures[0] == pictures[2]).all()
    assert (pictures[1] == pictures[4]).all()
    assert (pictures[1] != pictures[3]).any()


def test_colours_are_bt601():
    assert drawing.rgb(255, 255, 255) == (235, 128, 128)
    assert drawing.rgb(0, 0, 0) == (16, 128, 128)
    assert drawing.rgb(255, 0, 0) == (82, 90, 240)


def test_rows_move_by_parts_of_a_pixel():
    ramp = np.tile(np.arange(0, 200, 8, dtype=np.uint8), (3, 1))
    moved = drawing.shift_rows(ramp, np.array([0, 32, 8]))
    assert (moved[0] == ramp[0]).all()
    assert (moved[1, 1:] == ramp[1, :-1]).all()
    assert (moved[2, 1:] == ramp[2, 1:] - 2).all()


def test_the_camera_sees_the_world_at_its_aspect():
    world = drawing.blank(900, 700, (100, 128, 128))
    drawing.rectangle(world, 10 + 384, 20, 900, 700, (200, 128, 128))
    seen = drawing.view(world, 10, 20)[:, :, 0]
    assert seen[300, 355] == 100
    assert seen[300, 365] == 200
    zoomed = drawing.view(world, 10 + 192, 20, 2)[:, :, 0]
    assert zoomed[300, 355] == 100
    assert zoomed[300, 365] == 200

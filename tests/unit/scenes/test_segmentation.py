"""Merging and splitting: what must hold for any borders, and that the quiet place is the one chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.scenes.segmentation import merge_short_split_long


def divided(borders, *, frames, shortest=25, longest=300, movement=None, power=None, smooth=5):
    movement = np.ones(frames) if movement is None else movement
    power = np.zeros(frames) if power is None else power
    spans = merge_short_split_long(
        borders, movement=movement, power=power, shortest=shortest, longest=longest, smooth=smooth
    )
    return [(span.start_frame, span.stop_frame) for span in spans]


@settings(deadline=None, max_examples=150)
@given(
    frames=st.integers(1, 3000),
    borders=st.lists(st.integers(-5, 3100), max_size=60),
    shortest=st.integers(1, 40),
    times=st.integers(3, 12),
    seed=st.integers(0, 5),
)
def test_any_borders(frames, borders, shortest, times, seed):
    random = np.random.default_rng(seed)
    measures = {"movement": random.random(frames), "power": random.random(frames)}
    longest = shortest * times

    spans = divided(borders, frames=frames, shortest=shortest, longest=longest, **measures)

    assert spans == divided(reversed(borders), frames=frames, shortest=shortest, longest=longest, **measures)
    assert [spans[0][0], *(stop for _, stop in spans)] == [0, *(start for start, _ in spans[1:]), frames]
    lengths = [stop - start for start, stop in spans]
    assert max(lengths) <= longest
    for index, length in enumerate(lengths):
        if length < shortest:
            neighbours = lengths[max(0, index - 1) : index] + lengths[index + 1 : index + 2]
            assert all(length + neighbour > longest for neighbour in neighbours)


def test_borders_far_enough_apart_stay():
    assert divided([100, 200], frames=300) == [(0, 100), (100, 200), (200, 300)]


def test_a_short_scene_joins_the_neighbour_it_resembles():
    movement = np.ones(300)
    movement[100], movement[110] = 40, 20

    assert divided([100, 110], frames=300, movement=movement) == [(0, 100), (100, 300)]


def test_a_short_scene_stays_between_scenes_that_are_full():
    assert divided([295, 305], frames=600) == [(0, 295), (295, 305), (305, 600)]


def test_a_short_scene_joins_a_scene_that_will_be_split():
    spans = divided([310], frames=320)

    assert len(spans) == 2
    assert min(stop - start for start, stop in spans) >= 100


@pytest.mark.parametrize("measure", ["movement", "power"])
def test_a_long_scene_is_split_in_the_pause(measure):
    values = np.ones(400)
    values[210:222] = 1e-6

    ((_, border), _) = divided([], frames=400, **{measure: values})

    assert 211 <= border <= 221


def test_movement_and_sound_count_both():
    movement, power = np.ones(400), np.ones(400)
    movement[180:190] = 0
    power[180:190] = power[230:240] = 1e-6

    ((_, border), _) = divided([], frames=400, movement=movement, power=power)

    assert 181 <= border <= 189


def test_a_still_and_silent_scene_is_split_into_few_parts():
    assert divided([], frames=900) == [(0, 300), (300, 600), (600, 900)]


def test_no_part_of_a_long_scene_is_a_scrap():
    assert all(stop - start >= 100 for n in range(301, 1000, 7) for start, stop in divided([], frames=n))


def test_another_border_moves_only_the_parts_beside_it():
    random = np.random.default_rng(1)
    measures = {"movement": random.random(3000), "power": random.random(3000)}

    before, after = (divided(borders, frames=3000, **measures) for borders in ([1500], [700, 1500]))

    assert [span for span in after if span[0] >= 1500] == [span for span in before if span[0] >= 1500]

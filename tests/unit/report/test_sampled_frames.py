"""At which frames the report looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.core.timing import FrameRange
from tapemill.report.sampling import LOOKS, MOST_THUMBNAILS, places, scene_at, spread_over, worth_showing


@given(frames=st.integers(1, 400_000))
def test_places_are_in_the_tape_in_order_and_apart(frames):
    found = places(frames)
    assert len(found) == min(frames, LOOKS)
    assert found == sorted(set(found))
    assert found[0] >= 0
    assert found[-1] < frames


def test_of_each_part_the_place_with_most_in_it_is_shown():
    assert worth_showing([1, 9, 2, 3, 3, 8], 3) == [1, 3, 5]
    assert worth_showing([1, None, None, None, 5, None], 3) == [0, 4]
    assert worth_showing([4], 5) == [0]
    assert worth_showing([None], 5) == []
    # Of equals the first.
    assert worth_showing([2, 2, 2, 2], 2) == [0, 2]


def test_the_scene_of_a_frame():
    spans = [FrameRange(0, 10), FrameRange(10, 11), FrameRange(11, 50)]
    assert [scene_at(spans, frame) for frame in (0, 9, 10, 11, 49)] == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("count", [1, 7, MOST_THUMBNAILS, 1000])
def test_at_most_so_many_thumbnails(count):
    found = spread_over([FrameRange(n, n + 1) for n in range(count)])
    assert len(found) == min(count, MOST_THUMBNAILS)
    assert found == sorted(set(found))
    assert 0 <= found[0] <= found[-1] < count

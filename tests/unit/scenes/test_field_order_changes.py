import numpy as np
import pytest

from tapemill.scenes.field_order_changes import find_order_changes


@pytest.mark.parametrize(
    ("matches", "cuts", "expected"),
    [
        ("t" * 100, [], []),
        ("." * 100, [50], []),
        ("t" * 40 + "b" * 60, [], [40]),
        ("b" * 40 + "t" * 60 + "b" * 30, [], [40, 100]),
        # Some frames contradict, at the change too.
        ("ttbttctttt" * 4 + "b" * 30 + "t" + "b" * 20, [], [40]),
        # A few frames of another order are noise.
        ("t" * 40 + "b" * 9 + "t" * 40, [], []),
        # Film, and stills that are repeated, are no changes.
        ("cppTc".lower() * 30, [], []),
        ("cbct" * 30, [], []),
        ("c" * 60 + "t" * 60, [], [60]),
        ("c" * 20 + "t" * 60, [], []),
        # Nothing moves around the change: a cut there is the change, or else the next frame that moves.
        ("t" * 40 + "." * 20 + "b" * 40, [50], [50]),
        ("t" * 40 + "." * 20 + "b" * 40, [], [60]),
        # Next to a cut one neighbour is of another image.
        ("b" * 39 + "tb" + "t" * 40, [40], [40]),
        ("t" * 39 + "bt" + "b" * 40, [40], [40]),
        ("t" * 39 + "bc" + "t" * 40, [40], []),
    ],
)
def test_a_change_is_found_at_its_frame(matches, cuts, expected):
    assert find_order_changes(matches, cuts, np.ones(len(matches))) == expected


def test_no_frames_have_no_changes():
    assert find_order_changes("", [], np.zeros(0)) == []


@pytest.mark.parametrize(("jump", "size", "expected"), [(39, 5, 39), (41, 5, 41), (41, 1.5, 40), (43, 5, 40)])
def test_a_change_with_a_jump_is_at_the_jump(jump, size, expected):
    movement = np.ones(100)
    movement[jump] = size
    assert find_order_changes("t" * 40 + "b" * 60, [], movement) == [expected]

"""Film frames in the time of the tape: each once, unless the video was edited."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.scenes.film_timeline import times_shown

SPACINGS = {"3:2": Fraction(5, 2), "2:2": Fraction(2)}


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("last", [1, 2, 3])
@pytest.mark.parametrize("unit", [(3, 2), (2, 3)])
def test_without_an_edit_each_film_frame_is_shown_once(first, last, unit):
    fields = [first, *unit * 500, last]
    shown = times_shown(fields, SPACINGS["3:2"])
    assert set(shown[:-1]) == {1}
    # Only one that would make the tape longer by more than a frame is left out.
    excess = len(fields) - sum(fields) / SPACINGS["3:2"]
    assert shown.count(0) == (1 if excess > 1 else 0)


def test_shifted_fields_of_pal_lose_no_film_frame():
    assert set(times_shown([1, *[2] * 1000, 1], SPACINGS["2:2"])) == {1}


PARTS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 200), st.booleans(), st.integers(1, 3)), min_size=1, max_size=20
)


@settings(deadline=None)
@given(PARTS)
def test_an_edited_tape_stays_beside_its_audio(parts):
    fields = [
        each
        for first, count, is_long, last in parts
        for each in (first, *((3, 2) if is_long else (2, 3)) * count, last)
    ]
    spacing = SPACINGS["3:2"]
    shown = times_shown(fields, spacing)
    assert all(count <= length for count, length in zip(shown, fields, strict=True))
    count = start = 0
    for times, length in zip(shown, fields, strict=True):
        if times:
            assert abs(start / spacing - count) < Fraction(3, 2)
        count += times
        start += length
    assert abs(count - start / spacing) <= 2
    # Film frames are dropped or repeated only at edits.
    assert sum(times != 1 for times in shown) <= 2 * len(parts)

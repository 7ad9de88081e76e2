"""Cadence of film: its text, and which fields its frames are made of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.media.film.cadence import Cadence, FilmFrame

OF_SCENE_BEFORE = st.builds(FilmFrame, st.integers(1, 2), st.just(0), st.just(True))
FRAMES = st.one_of(
    st.builds(FilmFrame, st.integers(2, 3), st.integers(0, 2)),
    st.builds(FilmFrame, st.just(1), st.integers(0, 1)),
)


@settings(deadline=None)
@given(st.lists(OF_SCENE_BEFORE, max_size=1), st.lists(FRAMES, min_size=1), st.integers(1, 30))
def test_what_was_written_is_read(before, frames, times):
    cadence = Cadence((*before, *frames * times))
    assert Cadence.parse(str(cadence)) == cadence
    fields = cadence.shown_fields()
    assert len(fields) == cadence.shown
    assert fields == sorted(set(fields))


def test_a_steady_cadence_is_short():
    assert str(Cadence((FilmFrame(3), FilmFrame(2)) * 40 + (FilmFrame(1, 0),))) == "32*40,1-"
    assert str(Cadence((FilmFrame(1, 0, True), *[FilmFrame(2)] * 750))) == "1.,2*750"


@pytest.mark.parametrize("text", ["", "32*", "0", "3?", "3*0", "3 2", "2*9999999", "-", "2*1,", "33333333"])
def test_other_texts_are_errors(text):
    with pytest.raises(ValueError, match="cadence"):
        Cadence.parse(text)


def test_each_field_is_shown_by_its_film_frame():
    cadence = Cadence.parse("1.,3,2+,1-,2")
    assert [cadence.frame_at(field) for field in range(9)] == [-1, 0, 0, 0, 1, 1, 2, 3, 3]
    assert cadence.shown_fields() == [1, 4, 5, 7]
    assert (cadence.shown, cadence.dropped, cadence.repeated) == (4, 1, 1)

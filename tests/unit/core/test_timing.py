from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.core.timing import (
    FrameRange,
    evenly_spaced,
    format_fraction,
    merge_intervals,
    milliseconds,
    parse_fraction,
    round_half_up,
    timestamp,
)


@pytest.mark.parametrize(
    ("value", "expected"), [("1/2", 1), ("3/2", 2), ("-1/2", -1), ("1/3", 0), ("-2/3", -1), ("5", 5)]
)
def test_nearest_rounds_halves_away_from_zero(value, expected):
    assert round_half_up(Fraction(value)) == expected


@given(st.fractions(max_denominator=10**6))
def test_nearest_is_never_further_than_a_half(value):
    assert abs(round_half_up(value) - value) <= Fraction(1, 2)


def test_last_frame_of_two_hours_is_as_exact_as_the_first():
    rate = Fraction(30000, 1001)
    frame = 2 * 3600 * 30000 // 1001
    # 215,784 frames of 1001/30000 s each: 7199.9928 s exactly.
    assert milliseconds(frame / rate) == 7_199_993


def test_timestamp_carries_from_milliseconds_to_hours():
    assert timestamp(Fraction(3599_9996, 10000)) == "01:00:00.000"
    assert timestamp(Fraction(1, 4), decimal=",") == "00:00:00,250"


@pytest.mark.parametrize("text", ["30000/1001", "25", "16:9"])
def test_fractions_survive_as_text(text):
    assert parse_fraction(format_fraction(parse_fraction(text))) == parse_fraction(text)


@pytest.mark.parametrize(("start", "stop"), [(5, 5), (6, 5), (-1, 3)])
def test_a_span_is_never_empty_or_negative(start, stop):
    with pytest.raises(ValueError, match="frame range"):
        FrameRange(start, stop)


def test_a_span_derives_seconds_exactly():
    span = FrameRange(10, 40)
    rate = Fraction(30000, 1001)
    assert span.frames == 30
    assert span.start_s(rate) + span.duration_s(rate) == span.stop_s(rate) == Fraction(40 * 1001, 30000)


def test_stretches_are_united_where_they_overlap_or_touch():
    assert list(merge_intervals([(5, 6), (0, 2), (1, 3), (3, 4), (7, 7), (5.5, 5.7)])) == [(0, 4), (5, 6)]
    assert list(merge_intervals([])) == []


@pytest.mark.parametrize(("count", "expected"), [(1, ["c"]), (2, ["b", "d"]), (5, list("abcde")), (9, list("abcde"))])
def test_evenly_spaced_items(count, expected):
    assert evenly_spaced(list("abcde"), count) == expected


@given(count=st.integers(1, 400_000), at_most=st.integers(1, 200))
def test_evenly_spaced_indices_are_in_order_and_distinct(count, at_most):
    found = evenly_spaced(range(count), at_most)
    assert len(found) == min(count, at_most)
    assert found == sorted(set(found))
    assert 0 <= found[0] <= found[-1] < count

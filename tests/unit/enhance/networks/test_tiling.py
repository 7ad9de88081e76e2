import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapemill.enhance.networks.tiling import padded_length, reflected_indices, split_overlapping


@settings(deadline=None)
@given(
    st.integers(1, 120),
    st.integers(2, 40),
    st.integers(1, 39),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(["smooth", "plain"]),
)
def test_weights_sum_up_to_one_everywhere(length, size, overlap, scale, blend):
    overlap = min(overlap, size - 1)
    total = np.zeros(length * scale)
    for part in split_overlapping(length, size, overlap, scale=scale, blend=blend):
        assert part.stop <= length
        assert len(part.weights) == part.size * scale
        total[part.start * scale : part.stop * scale] += part.weights
    assert np.allclose(total, 1)


def test_parts_overlap_by_at_least_what_was_asked_for():
    for length, overlap in itertools.product(range(33, 100), (0, 4, 16)):
        covering = split_overlapping(length, 32, overlap)
        assert covering[0].start == 0
        assert covering[-1].stop == length
        assert all(one.stop - other.start >= overlap for one, other in itertools.pairwise(covering))


def test_smooth_weights_rise_and_fall_without_a_step():
    weights = np.array(split_overlapping(100, 40, 20)[1].weights)
    # Nothing of the quarter where a network sees a border that is none.
    assert not weights[:5].any()
    assert not weights[-5:].any()
    assert np.abs(np.diff(weights)).max() < 0.17


def test_an_overlap_that_leaves_nothing_is_refused():
    for arguments in (
        {"size": 8, "overlap": 8},
        {"size": 8, "overlap": 0, "blend": "plain"},
        {"size": 8, "overlap": -1},
    ):
        with pytest.raises(ValueError, match="cannot overlap"):
            split_overlapping(20, **arguments)


def test_reflection_goes_on_as_long_as_needed():
    assert reflected_indices(4, 9) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert reflected_indices(1, 3) == [0, 0, 0]
    assert reflected_indices(3, 8, repeat_edge=True) == [0, 1, 2, 2, 1, 0, 0, 1]
    assert reflected_indices(5, 5) == [0, 1, 2, 3, 4]
    assert (
        padded_length(5, multiple=8, least=1),
        padded_length(64, multiple=8, least=64),
        padded_length(9, multiple=8, least=64),
    ) == (
        8,
        64,
        64,
    )

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.audio.timeline_writer import TimelineWriter

RATE = 1000
TOLERANCE = 10
BLOCK = 50


def place(blocks, *, picture_end=100_000, fill=False):
    """Lay (first value, position) blocks; every sample's value is its own number from the start of the sound."""
    out = io.BytesIO()
    placer = TimelineWriter(out, dtype="<i4", channels=1, sample_rate_hz=RATE)
    placer.start_source(video_end=picture_end, fill=fill)
    for first, position in blocks:
        placer.add(np.arange(first, first + BLOCK, dtype="<i4")[:, None], position)
    placer.end_source()
    return np.frombuffer(out.getvalue(), "<i4"), placer.counts


def regular(count, shift=0):
    return [(1 + k * BLOCK, k * BLOCK + shift) for k in range(count)]


def test_sound_without_gaps_is_kept_as_it_is():
    samples, counts = place(regular(40))
    assert samples.tolist() == list(range(1, 2001))
    assert (counts.samples, counts.padded, counts.trimmed, counts.filled, counts.overlapping) == (2000, 0, 0, 0, 0)


@given(st.integers(-BLOCK, BLOCK), st.lists(st.integers(-TOLERANCE, TOLERANCE), max_size=60))
def test_jitter_moves_nothing_but_the_start(start, jitter):
    moved = [0, *jitter]
    samples, counts = place([(first, at + moved[k]) for k, (first, at) in enumerate(regular(len(moved), shift=start))])
    assert samples.tolist() == [0] * start + list(range(1 + max(0, -start), len(moved) * BLOCK + 1))
    assert counts.filled == counts.overlapping == 0


def test_late_sound_is_preceded_by_silence_and_early_sound_is_trimmed():
    late, counts = place(regular(5, shift=123))
    assert late.tolist() == [0] * 123 + list(range(1, 251))
    assert counts.padded == 123
    early, counts = place(regular(5, shift=-123))
    assert early.tolist() == list(range(124, 251))
    assert counts.trimmed == 123


def test_a_hole_is_filled_and_what_follows_is_in_its_place():
    blocks = regular(40)
    del blocks[10:13]
    samples, counts = place(blocks)
    assert counts.filled == 3 * BLOCK
    assert samples[13 * BLOCK :].tolist() == list(range(13 * BLOCK + 1, 2001))
    assert not samples[10 * BLOCK : 13 * BLOCK].any()


def test_time_that_was_taken_already_is_not_taken_twice():
    blocks = [*regular(20), *((first, position - 70) for first, position in regular(40)[20:])]
    samples, counts = place(blocks)
    assert counts.overlapping == 70
    assert len(samples) == 40 * BLOCK - 70
    assert samples[-1] == 2000


@pytest.mark.parametrize("wrong", [-500, 400, 10**9])
def test_one_wrong_time_stamp_moves_nothing(wrong):
    blocks = regular(40)
    blocks[20] = (blocks[20][0], blocks[20][1] + wrong)
    samples, _ = place(blocks)
    assert samples.tolist() == list(range(1, 2001))


def test_a_wild_time_stamp_makes_no_hours_of_silence():
    blocks = [*regular(20), *((first, position + 10**9) for first, position in regular(40)[20:])]
    samples, counts = place(blocks)
    assert samples.tolist() == list(range(1, 1001))
    assert counts.trimmed == 1000


def test_sound_that_goes_on_after_the_picture_is_kept():
    samples, _ = place(regular(40), picture_end=1500)
    assert len(samples) == 2000


def test_blocks_without_a_time_follow_the_one_before():
    blocks = [(1, 30), (51, None), (101, None), (151, 180)]
    samples, counts = place(blocks)
    assert samples.tolist() == [0] * 30 + list(range(1, 201))
    assert counts.filled == 0


@pytest.mark.parametrize("sounding", [1400, 1500, 1600])
def test_a_scene_file_fills_its_own_time_exactly(sounding):
    samples, counts = place(regular(sounding // BLOCK), picture_end=1500, fill=True)
    assert len(samples) == 1500
    assert counts.padded == max(0, 1500 - sounding)
    assert counts.trimmed == max(0, sounding - 1500)

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemill.media.clock.cfr import fit_cfr_grid
from tapemill.media.clock.frame_rate import USUAL_RATES, guess_frame_rate

PAL = Fraction(25)
NTSC = Fraction(30000, 1001)


def test_a_regular_ntsc_tape_of_two_hours_in_milliseconds_is_regular():
    frames = np.arange(215_784)
    times = np.round(frames * 1001 / 30).astype(np.int64)  # whole milliseconds, as Matroska stores them
    grid = fit_cfr_grid(times, 33, Fraction(1, 1000), NTSC)
    assert (grid.frames, grid.duplicates, grid.drops, grid.irregular) == (215_784, 0, 0, False)


def test_gaps_repeat_and_crowded_ticks_drop():
    times = np.array([0, 40, 80, 200, 205, 240], dtype=np.int64)  # two frames are missing, two share tick 5
    grid = fit_cfr_grid(times, 40, Fraction(1, 1000), PAL)
    assert grid.irregular
    assert (grid.frames, grid.duplicates, grid.drops) == (7, 2, 1)


def test_a_late_start_is_no_irregularity():
    times = np.arange(100, dtype=np.int64) * 3600 + 129_600
    grid = fit_cfr_grid(times, 3600, Fraction(1, 90_000), PAL)
    assert not grid.irregular
    assert grid.start_s == Fraction(129_600, 90_000)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60, unique=True))
def test_every_packet_finds_its_tick(times):
    stamps = np.sort(np.array(times, dtype=np.int64))
    grid = fit_cfr_grid(stamps, 40, Fraction(1, 1000), PAL)
    found = grid.indices(stamps)
    assert found[0] == 0
    assert found[-1] < grid.frames
    assert grid.packets - grid.drops + grid.duplicates == grid.frames
    if grid.origins:
        return
    offsets = [abs(Fraction(int(t) - grid.start_pts, 40) - int(tick)) for t, tick in zip(stamps, found, strict=True)]
    assert max(offsets) <= Fraction(1, 2)


def test_variable_rate_takes_a_usual_rate_that_loses_little():
    generator = np.random.default_rng(1)
    times = np.cumsum(generator.choice([33, 34, 40, 66], size=400, p=[0.45, 0.45, 0.05, 0.05])).astype(np.int64)
    rate = guess_frame_rate(times, Fraction(1, 1000), [Fraction(277, 10)])
    assert rate in USUAL_RATES
    grid = fit_cfr_grid(times, 33, Fraction(1, 1000), rate)
    assert grid.drops <= 0.005 * len(times)


def test_a_clock_is_not_taken_for_a_rate():
    generator = np.random.default_rng(2)
    times = np.cumsum(generator.choice([900, 3000, 3600, 90_000], size=250, p=[0.2, 0.3, 0.45, 0.05])).astype(np.int64)
    rate = guess_frame_rate(times, Fraction(1, 90_000), [Fraction(90_000)])
    assert rate in USUAL_RATES


@pytest.mark.parametrize("times", [[0, 0, 0, 0, 0, 40], [0, 0, 0, 0, 0, 40, 90], [7] * 20])
def test_time_stamps_of_which_most_are_the_same_still_get_a_rate(times):
    rate = guess_frame_rate(np.array(times), Fraction(1, 1000), [PAL])
    assert rate in {PAL, *USUAL_RATES}

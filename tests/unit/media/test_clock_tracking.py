"""Rates and frames of time stamps from a real clock: jitter, drift, gaps, doubled frames, at any phase."""

from fractions import Fraction

import numpy as np
import pytest

from tapemill.media.cfr import fit_cfr_grid
from tapemill.media.frame_rate import guess_frame_rate

RATES = (
    *(Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30)),
    *(Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60)),
)
CLOCKS = {"ms": Fraction(1, 1000), "90 kHz": Fraction(1, 90_000), "µs": Fraction(1, 1_000_000)}


def stamps(rate, frames, *, jitter_ms=0.0, drift_ppm=0.0, early=0.0, gaps=0, doubled=0, clock="ms", seed=1):
    """Time stamps of a recorder: of `frames` frames `gaps` are missing, `doubled` are there twice, the first is early.

    `drift_ppm` is how much too slow its clock is.
    """
    random = np.random.default_rng(seed)
    inner = np.arange(2, frames - 2)
    numbers = np.delete(np.arange(frames), random.choice(inner, gaps, replace=False))
    numbers = np.sort(np.append(numbers, random.choice(numbers[2:-2], doubled, replace=False)))
    times = numbers / float(rate) * (1 + drift_ppm * 1e-6)
    times[0] -= early / float(rate)
    times += random.uniform(-jitter_ms, jitter_ms, len(times)) / 1000
    return np.sort(np.round((times + 1) / float(CLOCKS[clock])).astype(np.int64))


def check(rate, gaps, doubled, clock, times, stated=None):
    """Check the rate, and that nothing is repeated or dropped but for gaps and doubled frames."""
    average = Fraction(len(times) - 1, int(times[-1] - times[0])) / CLOCKS[clock]
    found = guess_frame_rate(times, CLOCKS[clock], stated or [average])
    assert found == rate
    grid = fit_cfr_grid(times, 0, CLOCKS[clock], found)
    assert grid.duplicates <= gaps
    assert grid.drops <= doubled
    # Jitter may leave the first and the last frame beside their places.
    assert abs(grid.duplicates - grid.drops - gaps + doubled) <= 2
    indices = grid.indices(times)
    assert indices[0] == 0
    assert indices[-1] == grid.frames - 1
    assert np.count_nonzero(np.diff(indices) == 0) == grid.drops
    return grid


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}")
@pytest.mark.parametrize("jitter_ms", [0, 1, 8])
def test_no_clock_makes_a_wrong_rate_or_repeats_or_drops_frames(rate, jitter_ms):
    cases = [(-200, 0.5, 0, 0), (50, 0.5, 1, 0), (200, 0, 10, 20), (0, 0.5, 75, 0)]
    for drift_ppm, early, gaps, doubled in cases:
        times = stamps(
            rate, 3000, jitter_ms=jitter_ms, drift_ppm=drift_ppm, early=early, gaps=gaps, doubled=doubled, clock="µs"
        )
        check(rate, gaps, doubled, "µs", times)


@pytest.mark.long
@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}")
@pytest.mark.parametrize("clock", CLOCKS)
def test_a_long_tape_of_any_clock_keeps_its_rate_and_its_frames(rate, clock):
    cases = [(0, 50, 0, 0, 0), (1, -200, 0.5, 0, 0), (2, 200, 0.5, 1, 0), (4, 0, 0, 150, 300), (8, 200, 0.5, 0, 0)]
    for seed, (jitter_ms, drift_ppm, early, gaps, doubled) in enumerate([*cases, (8, -50, 0, 1000, 150)]):
        changes = {"jitter_ms": jitter_ms, "drift_ppm": drift_ppm, "early": early, "gaps": gaps, "doubled": doubled}
        times = stamps(rate, 150_000, **changes, clock=clock, seed=seed)
        check(rate, gaps, doubled, clock, times)


def test_an_hour_of_pal_with_a_clock_of_its_own_is_pal():
    times = stamps(Fraction(25), 90_000, jitter_ms=1, drift_ppm=50)

    grid = check(Fraction(25), 0, 0, "ms", times, stated=[Fraction(30000, 1001), Fraction(24), Fraction(25)])

    assert not grid.irregular
    # Sound has the same clock: the hour lasts an hour.
    assert float(grid.tape_s(Fraction(3600_180 + 1000, 1000))) == pytest.approx(3600, abs=0.003)
    assert float(grid.file_s(Fraction(1800))) == pytest.approx(1801.09, abs=0.003)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30), Fraction(60)])
def test_one_missing_frame_does_not_put_a_capture_on_the_rate_of_ntsc(rate):
    times = np.delete(np.arange(3600), 500) * 256

    found = guess_frame_rate(times, 1 / (rate * 256), [Fraction(3599, 3600) * rate, rate])
    grid = fit_cfr_grid(times, 256, 1 / (rate * 256), found)

    assert (found, grid.frames, grid.duplicates, grid.drops, grid.origins) == (rate, 3600, 1, 0, ())


def test_two_frames_that_jitter_puts_on_one_time_stamp_are_both_kept():
    times = np.round(np.arange(400) * 1000 / 60).astype(np.int64)
    times[200] = times[201] = (times[200] + times[201]) // 2

    grid = fit_cfr_grid(times, 17, CLOCKS["ms"], Fraction(60))

    assert grid.drops == 0
    np.testing.assert_array_equal(grid.indices(times), np.arange(400))
    assert "PREV_INPTS" in grid.from_frame_0()

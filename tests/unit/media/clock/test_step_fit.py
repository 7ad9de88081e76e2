"""Steps of a noisy series: the fit against the conditions that only the best one meets."""

import numpy as np
import pytest

from tapemill.media.clock.step_fit import fit_steps


@pytest.mark.parametrize("seed", range(50))
def test_no_other_series_fits_better(seed):
    random = np.random.default_rng(seed)
    count, penalty = int(random.integers(1, 60)), random.uniform(0.1, 3)
    values = random.normal(0, 1, count) + np.cumsum(random.integers(-1, 2, count) * (random.random(count) < 0.2))

    fitted = fit_steps(values, penalty)

    # The conditions of Karush, Kuhn and Tucker: the sums of residuals stay within the penalty, reach it at each step,
    # and end with 0.
    sums, steps = np.cumsum(values - fitted), np.diff(fitted)
    assert sums[-1] == pytest.approx(0, abs=1e-9)
    assert np.all(np.abs(sums) <= penalty + 1e-9)
    np.testing.assert_allclose(sums[:-1][np.abs(steps) > 1e-9], -penalty * np.sign(steps[np.abs(steps) > 1e-9]))


def test_a_step_is_where_the_values_step():
    values = np.repeat([0.0, 1.0, 3.0, 2.0], 50)

    np.testing.assert_array_equal(np.round(fit_steps(values, 2.0)), values)

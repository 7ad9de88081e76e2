"""Piecewise constant fit of a noisy series: least squares with a penalty for each step (total variation denoising).

Exact in linear time by dynamic programming: N. A. Johnson, A dynamic programming algorithm for the fused lasso, 2013.
"""

from __future__ import annotations

import numpy as np


def fit_steps(values: np.ndarray, penalty: float) -> np.ndarray:
    """Return the series that minimises half the sum of squared residuals plus `penalty` times the sum of its steps.

    `values` has at least one element; shape = (values,) for both. Rounded to integers, the result is the best one of
    integers. It steps only where `values` step too, in the same direction and by no more.
    """
    middle = float(np.median(values))
    targets = (values - middle).tolist()
    count = len(targets)
    low, high, last = _forward(targets, penalty)
    fitted = [last] * count
    for number in range(count - 2, -1, -1):
        fitted[number] = min(max(fitted[number + 1], low[number]), high[number])
    return np.array(fitted) + middle


def _forward(targets: list[float], penalty: float) -> tuple[list[float], list[float], float]:
    """Return the range of each element's best value, given the one after it, and the best value of the last.

    The derivative of the least cost of all elements so far, by the value of the last one, rises in straight parts. At
    the knots `[left, right]` its slope and its intercept change. Clipped to the penalty it is that of the next element.
    """
    count = len(targets)
    knots, slopes, intercepts = ([0.0] * (2 * count) for _ in range(3))
    left, right = count, count - 1
    low, high = [], []
    before = after = -targets[0]
    for target in targets[1:]:
        slope, intercept = 1.0, before
        while left <= right and slope * knots[left] + intercept <= -penalty:
            slope += slopes[left]
            intercept += intercepts[left]
            left += 1
        low.append((-penalty - intercept) / slope)
        last_slope, last_intercept = 1.0, after
        while right >= left and last_slope * knots[right] + last_intercept >= penalty:
            last_slope -= slopes[right]
            last_intercept -= intercepts[right]
            right -= 1
        high.append((penalty - last_intercept) / last_slope)
        left, right = left - 1, right + 1
        knots[left], slopes[left], intercepts[left] = low[-1], slope, intercept + penalty
        knots[right], slopes[right], intercepts[right] = high[-1], -last_slope, penalty - last_intercept
        before, after = -penalty - target, penalty - target
    slope, intercept = 1.0, before
    while left <= right and slope * knots[left] + intercept <= 0:
        slope += slopes[left]
        intercept += intercepts[left]
        left += 1
    return low, high, -intercept / slope

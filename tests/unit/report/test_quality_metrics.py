"""Measures of pictures, against pictures whose noise, blur and combs are known."""

import cv2
import numpy as np
import pytest

from tapemill.report import quality_metrics


def scenery(lines=288, samples=360):
    """Shapes and slopes, as grey levels."""
    y, x = np.mgrid[0:lines, 0:samples]
    picture = 90 + 40 * np.sin(x / 40) + 20 * np.cos(y / 30) + 60 * ((x - 150) ** 2 + (y - 140) ** 2 < 3600)
    return np.clip(picture, 0, 255).astype(np.float32)


def noisy(picture, sigma, *, along=1, seed=1):
    """With noise of a standard deviation; `along` samples of a line share it, as on a tape."""
    noise = np.random.default_rng(seed).normal(0, 1, picture.shape).astype(np.float32)
    if along > 1:
        noise = cv2.blur(noise, (along, 1)) * np.sqrt(along)
    return np.clip(picture + sigma * noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("along", [1, 9])
@pytest.mark.parametrize("sigma", [3, 10])
def test_noise_is_what_was_added_also_where_it_runs_along_the_lines(sigma, along):
    assert quality_metrics.noise_levels(noisy(scenery(), sigma, along=along)) == pytest.approx(sigma, rel=0.2)


def test_a_picture_without_noise_has_none():
    assert quality_metrics.noise_levels(scenery().round().astype(np.uint8)) < 0.7
    assert quality_metrics.noise_levels(np.full((20, 20), 128, np.uint8)) == 0


def test_a_blurred_picture_is_more_blurred():
    sharp = noisy(scenery(), 0)
    found = [quality_metrics.blur(cv2.GaussianBlur(sharp, (0, 0), sigma) if sigma else sharp) for sigma in (0, 2, 5)]
    assert found == sorted(found)
    assert found[2] > found[0] + 0.1
    assert quality_metrics.blur(np.full((20, 20), 128, np.uint8)) == 1


def test_combs_show_two_moments_and_a_picture_of_one_has_none():
    still = noisy(scenery(), 0)
    moved = np.roll(still, 12, axis=1)
    woven = still.copy()
    woven[1::2] = moved[1::2]
    assert quality_metrics.comb_ratio(still) < 0.7
    assert quality_metrics.comb_ratio(woven) > 1
    # Noise brings it near 1, and not beyond.
    assert quality_metrics.comb_ratio(noisy(scenery(), 20)) == pytest.approx(1, abs=0.1)
    assert quality_metrics.comb_ratio(np.full((20, 20), 128, np.uint8)) == 0

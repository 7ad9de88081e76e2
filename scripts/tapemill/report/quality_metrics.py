"""No-reference quality metrics of an image. None of them can tell content from damage."""

from __future__ import annotations

from typing import Final

import numpy as np

Grey = np.ndarray
"""shape = (lines, samples), uint8."""

# Median absolute value of normal noise, as a share of its standard deviation.
MEDIAN_OF_NORMAL: Final = 0.6745
# Length of the strong blur that an image is compared with (Crété-Roffet et al.).
BLUR_SAMPLES: Final = 11
SMALLEST_SIDE: Final = 16
# Mean difference of lines below which an image counts as blank.
FLAT_LEVELS: Final = 0.05


def noise_levels(lines: Grey) -> float:
    """Standard deviation of the noise from line to line, in levels of 255. Pass lines of one field.

    Each line is compared with the mean of its neighbours (T. Gasser, L. Sroka, C. Jennen-Steinmetz, "Residual variance
    and residual pattern in nonlinear regression", Biometrika 73, 1986); the median of these differences is used, so
    that edges hardly count. Across lines, because the noise of tapes runs along them: methods that use the
    neighbourhood of a point take its streaks for content. Fine texture counts as noise. 8-bit levels quantise the
    result in steps of about 0.6.
    """
    values = lines.astype(np.float32)
    differences = values[1:-1] - (values[:-2] + values[2:]) / 2
    return float(np.median(np.abs(differences)) / MEDIAN_OF_NORMAL / np.sqrt(1.5))


def blur(grey: Grey) -> float:
    """Blur of an image from 0 (sharp) to 1: how little detail is lost when it is blurred once more.

    Along the lines only, since noise across them would count as sharpness: the horizontal half of F. Crété-Roffet et
    al., "The Blur Effect: Perception and Estimation with a New No-Reference Perceptual Blur Metric", SPIE 6492, 2007.
    Noise along the lines still counts as sharpness.
    """
    import cv2

    values = grey.astype(np.float32)
    before = np.abs(np.diff(values, axis=1))
    after = np.abs(np.diff(cv2.blur(values, (BLUR_SAMPLES, 1), borderType=cv2.BORDER_REFLECT), axis=1))
    total = before.sum(dtype=np.float64)
    lost = np.maximum(0, before - after).sum(dtype=np.float64)
    return float((total - lost) / total) if total else 1.0


def comb_ratio(grey: Grey) -> float:
    """Difference of neighbouring lines over the difference of lines two apart; 0 for a blank image.

    Neighbouring lines are more similar than lines two apart, unless they are from two moments: above 1 the image is
    combed. Noise moves the ratio towards 1.
    """
    values = grey.astype(np.float32)
    near = float(np.abs(np.diff(values, axis=0)).mean())
    far = float(np.abs(values[2:] - values[:-2]).mean())
    return near / far if far > FLAT_LEVELS else 0.0

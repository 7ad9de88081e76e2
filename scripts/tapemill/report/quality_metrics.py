"""Measures of a picture that need no reference. None of them knows what is a picture and what is damage."""

from __future__ import annotations

from typing import Final

import numpy as np

Grey = np.ndarray
"""shape = (lines, samples), uint8."""

# Of normal noise the median of absolute values is this part of the standard deviation.
MEDIAN_OF_NORMAL: Final = 0.6745
# Length of the strong blur that a picture is compared with (Crété-Roffet et al.).
BLUR_SAMPLES: Final = 11
SMALLEST_SIDE: Final = 16
# Differences between lines below this are those of a picture that shows nothing.
FLAT_LEVELS: Final = 0.05


def noise_levels(lines: Grey) -> float:
    """Standard deviation of what differs from line to line, in levels of 255. Pass lines of one field.

    Each line is compared with the mean of its neighbours (T. Gasser, L. Sroka, C. Jennen-Steinmetz, "Residual variance
    and residual pattern in nonlinear regression", Biometrika 73, 1986); of these differences the median counts, so
    that edges hardly do. Across lines, because the noise of tapes runs along them: methods that look around a point
    take its streaks for picture. Fine texture counts as noise. Whole levels make steps of about 0.6 of the figure.
    """
    values = lines.astype(np.float32)
    differences = values[1:-1] - (values[:-2] + values[2:]) / 2
    return float(np.median(np.abs(differences)) / MEDIAN_OF_NORMAL / np.sqrt(1.5))


def blur(grey: Grey) -> float:
    """How little is lost when the picture is blurred once more: 0 for a sharp one, 1 for one that is blurred already.

    Along the lines only, since noise across them would count as sharpness: the horizontal half of F. Crété-Roffet et
    al., "The Blur Effect: Perception and Estimation with a New No-Reference Perceptual Blur Metric", SPIE 6492, 2007.
    Noise along the lines still does.
    """
    import cv2

    values = grey.astype(np.float32)
    before = np.abs(np.diff(values, axis=1))
    after = np.abs(np.diff(cv2.blur(values, (BLUR_SAMPLES, 1), borderType=cv2.BORDER_REFLECT), axis=1))
    total = before.sum(dtype=np.float64)
    lost = np.maximum(0, before - after).sum(dtype=np.float64)
    return float((total - lost) / total) if total else 1.0


def comb_ratio(grey: Grey) -> float:
    """How much neighbouring lines differ, over how much every other line does; 0 where nothing differs.

    Lines beside each other are more alike than those two apart, unless they show two moments: above 1 the picture is
    combed. Noise brings it near 1 from either side.
    """
    values = grey.astype(np.float32)
    near = float(np.abs(np.diff(values, axis=0)).mean())
    far = float(np.abs(values[2:] - values[:-2]).mean())
    return near / far if far > FLAT_LEVELS else 0.0

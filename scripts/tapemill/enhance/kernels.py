"""Convolution kernels for the chroma planes, as whole numbers that sum to KERNEL_SCALE so that flat colour stays."""

from __future__ import annotations

import math

# convolution takes whole numbers; this scale keeps a kernel's rounding below a hundredth of a level.
KERNEL_SCALE = 4096
# Half the taps of the kernels that sharpen and shift colour. convolution allows 24.
KERNEL_REACH = 8
SHIFT_REACH = 3
# A wider Gaussian would no longer fit under the taps.
LARGEST_SIGMA = 6.0


def unsharp_kernel(sigma: float, amount: float) -> list[int]:
    """Identity plus `amount` times (identity minus a Gaussian of `sigma` samples). Sums to KERNEL_SCALE."""
    reach = range(-KERNEL_REACH, KERNEL_REACH + 1)
    width = min(sigma, LARGEST_SIGMA)
    gauss = [math.exp(-0.5 * (x / width) ** 2) for x in reach]
    return _whole(
        [(1 + amount) * (x == 0) - amount * weight / sum(gauss) for x, weight in zip(reach, gauss, strict=True)]
    )


def shift_kernel(distance: float) -> list[int]:
    """Shift to the right by 0 < `distance` < 1 samples: sinc under a Hann window. Sums to KERNEL_SCALE."""

    def weight(x: float) -> float:
        window = 0.5 + 0.5 * math.cos(math.pi * x / (SHIFT_REACH + 1))
        return window * math.sin(math.pi * x) / (math.pi * x)

    weights = [weight(x + distance) for x in range(-SHIFT_REACH, SHIFT_REACH + 1)]
    return _whole([value / sum(weights) for value in weights])


def convolve_chroma(kernel: list[int], mode: str) -> str:
    """The filter that applies a kernel to both chroma planes along lines ("row") or across them ("column")."""
    taps = " ".join(map(str, kernel))
    planes = (f"{plane}m='{taps}':{plane}rdiv={1 / KERNEL_SCALE}:{plane}mode={mode}" for plane in (1, 2))
    return "convolution=" + ":".join(planes)


def _whole(kernel: list[float]) -> list[int]:
    """Scaled to whole numbers whose sum is exact, so that flat colour stays what it is."""
    scaled = [round(value * KERNEL_SCALE) for value in kernel]
    scaled[len(scaled) // 2] += KERNEL_SCALE - sum(scaled)
    return scaled

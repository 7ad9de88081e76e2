"""The filters that a chain is made of: pure functions from strengths to filter strings of ffmpeg."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from tapemill.enhance.output_format import Layout
from tapemill.enhance.settings import FilterSettings

# hqdn3d reads a strength of exactly 0 as "take the default"; this one changes no sample.
NEXT_TO_NOTHING = 0.0001
# gradfun takes no less.
LEAST_DEBANDING = 0.51
# The same grain in every run.
GRAIN_SEED = 1


def denoise(filters: FilterSettings, layout: Layout) -> str | None:
    """Smooth in space and along time, less where there is contrast."""
    strengths = (
        filters.denoise_luma_spatial,
        filters.denoise_chroma_spatial,
        filters.denoise_luma_temporal,
        filters.denoise_chroma_temporal,
    )
    if not any(strengths):
        return None
    return "hqdn3d=" + ":".join(f"{max(strength, NEXT_TO_NOTHING):g}" for strength in strengths)


def shift_chroma(filters: FilterSettings, layout: Layout) -> str | None:
    """Move colour by luma samples and lines; the part of it below one chroma sample is interpolated."""
    steps = []
    whole = {}
    for axis, mode, distance, log2 in (
        ("h", "row", filters.chroma_shift_samples, layout.log2_chroma_width),
        ("v", "column", filters.chroma_shift_lines, layout.log2_chroma_height),
    ):
        samples, rest = divmod(distance, 1 << log2)
        whole[axis] = samples
        if rest:
            steps.append(convolve_chroma(shift_kernel(rest / (1 << log2)), mode))
    if any(whole.values()):
        h, v = whole["h"], whole["v"]
        steps.insert(0, f"chromashift=cbh={h}:cbv={v}:crh={h}:crv={v}:edge=smear")
    return ",".join(steps) or None


def sharpen_chroma(filters: FilterSettings, layout: Layout) -> str | None:
    """Gather colour that has bled along the line: sharpen widely, but within what the neighbourhood shows.

    An unsharp mask as wide as the smear steepens the edges. Clamping to the range of the sample and its neighbours left
    and right at that distance keeps it from making halos in the opposite colour, and from raising noise.
    """
    if not filters.chroma_bleed:
        return None
    reach = filters.chroma_bleed_samples / (1 << layout.log2_chroma_width)
    steepen = convolve_chroma(unsharp_kernel(reach, filters.chroma_bleed), "row")
    distance = max(1, round(reach * 0.85))
    graph = [
        "split=5[bled][low][high][left][right]",
        f"[bled]{steepen}[steep]",
        f"[left]chromashift=cbh=-{distance}:crh=-{distance},split[left1][left2]",
        f"[right]chromashift=cbh={distance}:crh={distance},split[right1][right2]",
    ]
    for name, mode, number in (("low", "darken", 1), ("high", "lighten", 2)):
        extreme = f"blend=c1_mode={mode}:c2_mode={mode}"
        graph.append(f"[{name}][left{number}]{extreme}[{name}er]")
        graph.append(f"[{name}er][right{number}]{extreme}[{name}est]")
    return ";".join([*graph, "[steep][lowest][highest]maskedclamp=planes=6"])


def deband(filters: FilterSettings, layout: Layout) -> str | None:
    """Dissolve steps in smooth areas, which denoising brings out. Deeper than 8 bits there are none to be seen."""
    if not filters.deband_levels or layout.depth > 8:
        return None
    return f"gradfun=strength={max(filters.deband_levels, LEAST_DEBANDING):g}"


def sharpen(filters: FilterSettings, layout: Layout) -> str | None:
    """Raise local contrast of luma, most where there is least."""
    if not filters.sharpen:
        return None
    return f"cas=strength={filters.sharpen:g}:planes=1"


def grain(filters: FilterSettings, layout: Layout) -> str | None:
    """Lay fine noise over brightness, other in each frame. Deeper than 8 bits it is made apart: `noise` knows 8."""
    if not filters.grain_levels:
        return None
    noise = f"noise=c0s={round(filters.grain_levels)}:c0f=t:all_seed={GRAIN_SEED}"
    if layout.depth == 8:
        return noise
    grey = f"format={Layout(8, layout.log2_chroma_width, layout.log2_chroma_height).name},lutyuv=y=128:u=128:v=128"
    return (
        f"split=2[clean][ground];[ground]{grey},{noise},format={layout.name}[grain];"
        "[clean][grain]blend=c0_mode=grainmerge:c1_mode=normal:c2_mode=normal"
    )


FILTERS: Final[Mapping[str, Callable[[FilterSettings, Layout], str | None]]] = {
    "denoise": denoise,
    "chroma_shift": shift_chroma,
    "chroma_bleed": sharpen_chroma,
    "deband": deband,
    "sharpen": sharpen,
    "grain": grain,
}


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

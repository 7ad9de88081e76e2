"""The filters that a chain is made of: pure functions from strengths to filter strings of ffmpeg."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .kernels import convolve_chroma, shift_kernel, unsharp_kernel
from .picture import Layout
from .settings import Filters

# hqdn3d reads a strength of exactly 0 as "take the default"; this one changes no sample.
NEXT_TO_NOTHING = 0.0001
# gradfun takes no less.
LEAST_DEBANDING = 0.51
# The same grain in every run.
GRAIN_SEED = 1


def denoise(filters: Filters, layout: Layout) -> str | None:
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


def shift_chroma(filters: Filters, layout: Layout) -> str | None:
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


def sharpen_chroma(filters: Filters, layout: Layout) -> str | None:
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


def deband(filters: Filters, layout: Layout) -> str | None:
    """Dissolve steps in smooth areas, which denoising brings out. Deeper than 8 bits there are none to be seen."""
    if not filters.deband_levels or layout.depth > 8:
        return None
    return f"gradfun=strength={max(filters.deband_levels, LEAST_DEBANDING):g}"


def sharpen(filters: Filters, layout: Layout) -> str | None:
    """Raise local contrast of luma, most where there is least."""
    if not filters.sharpen:
        return None
    return f"cas=strength={filters.sharpen:g}:planes=1"


def grain(filters: Filters, layout: Layout) -> str | None:
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


FILTERS: Final[Mapping[str, Callable[[Filters, Layout], str | None]]] = {
    "denoise": denoise,
    "chroma_shift": shift_chroma,
    "chroma_bleed": sharpen_chroma,
    "deband": deband,
    "sharpen": sharpen,
    "grain": grain,
}

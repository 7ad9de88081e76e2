"""Modulated deformable convolution (Zhu et al. 2019, arXiv 1811.11168), 3×3, on any device.

torchvision's operator is used where it has a kernel for the device: it is not there on Intel cards, nor where
torchvision was built for another torch. Only imported with the network: it imports torch.
"""

from __future__ import annotations

from functools import cache

import torch
from torch.nn import functional

from .chunking import chunk_length

TAPS = 9


def deformable_conv(
    source: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Convolve `source` (B, C, H, W) float32 with `weight` (out, C/groups, 3, 3), at moved places.

    `offset` (B, G*9*2, H, W) is how far, (dy, dx) in pixels, each tap is moved for each of G groups of channels;
    `mask` (B, G*9, H, W) multiplies what is found there. Outside of the picture is 0. Group j of the output's channels
    sees group j of the source's only. Gives (B, out, H, W) in the weight's dtype.
    """
    if has_native(source.device.type):
        return _native(source, offset, mask, weight, bias)
    return _sampled(source, offset, mask, weight, bias)


@cache
def has_native(kind: str) -> bool:
    """Whether torchvision's operator can be used on this kind of device. False while torchvision is not imported."""
    if not hasattr(torch.ops.torchvision, "deform_conv2d"):
        return False
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::deform_conv2d", kind.upper()))


def _native(
    source: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    # In float32 also for half weights: the operator reads offsets in the source's dtype, and half ones are too coarse.
    groups = source.shape[1] // weight.shape[1]
    offset_groups = offset.shape[1] // (2 * TAPS)
    steps = (1, 1, 1, 1, 1, 1)  # stride, padding, dilation, each for rows and columns
    done: torch.Tensor = torch.ops.torchvision.deform_conv2d(
        source.float(), weight.float(), offset.float(), mask.float(), bias.float(), *steps, groups, offset_groups, True
    )
    return done.to(weight.dtype)


def _sampled(
    source: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """All taps of a band of rows are sampled at once, then one product a group sums them up."""
    count, channels, height, width = source.shape
    out, per_group = weight.shape[:2]
    groups = channels // per_group
    offset_groups = offset.shape[1] // (2 * TAPS)
    by_group = source.reshape(count * offset_groups, -1, height, width)
    offset = offset.reshape(count * offset_groups, TAPS, 2, height, width)
    mask = mask.reshape(count * offset_groups, 1, TAPS, height, width)
    kernel = weight.reshape(groups, out // groups, per_group * TAPS)
    done = source.new_empty((count, out, height, width), dtype=weight.dtype)
    band = chunk_length(count * channels * TAPS * width * source.element_size(), source.device.type)
    for top in range(0, height, band):
        bottom = min(top + band, height)
        grid = _grid(offset[..., top:bottom, :], top, height, width)
        found = functional.grid_sample(by_group, grid, align_corners=False).view(
            count * offset_groups, -1, TAPS, bottom - top, width
        )
        found *= mask[..., top:bottom, :]
        columns = found.view(count, groups, per_group * TAPS, -1).to(weight.dtype)
        summed = torch.matmul(kernel, columns).view(count, out, bottom - top, width)
        torch.add(summed, bias[:, None, None], out=done[:, :, top:bottom])
    return done


def _grid(offset: torch.Tensor, top: int, height: int, width: int) -> torch.Tensor:
    """Where the taps of rows from `top` on look, for grid_sample: (B, 9*rows, width, 2) as (x, y) in -1..1.

    `offset` is (B, 9, 2, rows, width). -1 and 1 are the outer edges of the picture, which also a side of one pixel has.
    """
    taps, _, rows, _ = offset.shape[1:]
    tap = torch.arange(taps, device=offset.device)
    row = torch.arange(top, top + rows, device=offset.device) + (tap // 3 - 1)[:, None]
    column = torch.arange(width, device=offset.device) + (tap % 3 - 1)[:, None]
    grid = offset.new_empty((len(offset), taps, rows, width, 2))
    torch.add(offset[:, :, 1], column[:, None], out=grid[..., 0])
    torch.add(offset[:, :, 0], row[:, :, None], out=grid[..., 1])
    grid[..., 0].mul_(2 / width).add_(1 / width - 1)
    grid[..., 1].mul_(2 / height).add_(1 / height - 1)
    return grid.view(len(offset), taps * rows, width, 2)

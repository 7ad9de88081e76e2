"""Warping of images along flows, and parallel warping (VRT, section 3.4): alignment of neighbours with each frame.

Coordinates are float32 whatever dtype the weights have. Only imported with the network: it imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .deform_conv import TAPS, deformable_conv


def flow_warp(source: torch.Tensor, flow: torch.Tensor, padding: str = "zeros") -> torch.Tensor:
    """`source` (B, C, H, W) at the positions that `flow` (B, 2, H, W) points to, bilinearly, as float32."""
    height, width = flow.shape[2:]
    x, y = _positions(flow)
    # -1 and 1 are the outer edges of the image.
    grid = torch.stack([x.mul_(2 / width).add_(1 / width - 1), y.mul_(2 / height).add_(1 / height - 1)], -1)
    return functional.grid_sample(source.float(), grid, padding_mode=padding, align_corners=False)


def nearest4(source: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """The four pixels around the positions that a flow points to: (B, C, H, W) to (B, 4*C, H, W), 0 outside.

    In the order (floor x, floor y), (floor x, ceil y), (ceil x, floor y), (ceil x, ceil y).
    """
    count, channels, height, width = source.shape
    x, y = _positions(flow)
    flat = source.flatten(2)
    found = []
    for column in (x.floor(), x.ceil()):
        for row in (y.floor(), y.ceil()):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = torch.where(inside, row, 0).long() * width + torch.where(inside, column, 0).long()
            pixels = flat.gather(2, index.view(count, 1, -1).expand(-1, channels, -1)).view_as(source)
            found.append(pixels.masked_fill_(~inside[:, None], 0))
    return torch.cat(found, 1)


def _positions(flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns and rows in pixels, (B, H, W) float32, new tensors."""
    height, width = flow.shape[2:]
    flow = flow.float()
    column = torch.arange(width, device=flow.device, dtype=torch.float32)
    row = torch.arange(height, device=flow.device, dtype=torch.float32)
    return flow[:, 0] + column, flow[:, 1] + row[:, None]


class ParallelWarping(nn.Module):
    """Alignment of neighbours with a frame by deformable convolution, guided by their flows."""

    def __init__(self, channels: int, neighbours: int, groups: int, reach_px: float) -> None:
        super().__init__()
        self.neighbours, self.groups, self.reach_px = neighbours, groups, reach_px
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        bound = (TAPS * channels) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        guides = (1 + neighbours) * channels + 2 * neighbours
        layers: list[nn.Module] = []
        for width in (guides, channels, channels):
            layers += [nn.Conv2d(width, channels, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        last = nn.Conv2d(channels, 3 * TAPS * groups, 3, padding=1)
        self.conv_offset = nn.Sequential(*layers, last)
        self.widest = max(guides, 3 * channels, 3 * TAPS * groups)
        """Channels of the widest tensor, including the following fusion."""
        # An untrained network then follows the flows.
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, current: torch.Tensor, neighbours: Sequence[torch.Tensor], flows: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Align the neighbours' features with `current`: all (B, C, H, W), nearest first, flows (B, 2, H, W)."""
        dtype = self.weight.dtype
        # Sampling is done in float32 on contiguous planes.
        planes = [neighbour.float().contiguous() for neighbour in neighbours]
        warped = [flow_warp(plane, flow).to(dtype) for plane, flow in zip(planes, flows, strict=True)]
        guides = torch.cat([*warped, current, *(flow.to(dtype) for flow in flows)], 1)
        del warped
        raw = self.conv_offset(guides.contiguous(memory_format=torch.channels_last))
        del guides
        split = 2 * TAPS * self.groups
        offset = raw[:, :split].float().tanh_().mul_(self.reach_px)
        # Each neighbour has an equal share of the offsets, in pairs (dy, dx), relative to its flow.
        pairs = offset.view(len(raw), self.neighbours, -1, 2, *raw.shape[2:])
        for index, flow in enumerate(flows):
            pairs[:, index] += flow.flip(1)[:, None]
        mask = raw[:, split:].float().sigmoid_()
        source = planes[0] if len(planes) == 1 else torch.cat(planes, 1)
        return deformable_conv(source, offset, mask, self.weight, self.bias)

"""Optical flow between neighbouring frames: SpyNet (Ranjan and Black 2017, arXiv 1611.00850), and flows over 2 and 3.

Flows are (..., 2, H, W) float32 in pixels, x first, whatever the weights are: a half coordinate misses its pixel.
Only imported with the network: it imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from .chunking import chunks
from .config import FLOW_MULTIPLE
from .warping import flow_warp

LEVELS = 6
# Scales whose flows the body needs: full size, and three halvings.
SCALES_OF_FLOW = 4
CHANNELS = (8, 32, 64, 32, 16, 2)


@dataclass(frozen=True)
class Flows:
    """Flows between frames of a clip.

    Each list has an entry for each scale, full size first, of tuples with an entry for each distance in frames, nearest
    first: (N, D - distance, 2, H, W).
    """

    backward: list[tuple[torch.Tensor, ...]]
    """Entry t warps frame t + distance onto frame t."""
    forward: list[tuple[torch.Tensor, ...]]
    """Entry t warps frame t onto frame t + distance."""


def flows_of(spynet: SpyNet, images: torch.Tensor, distances: int) -> Flows:
    """The flows of a clip (N, D, 3, H, W) up to a distance of 1, 2 or 3 frames."""
    backward, forward = zip(*(spynet.both_ways(clip) for clip in images), strict=True)
    return Flows(
        [_further(torch.stack(scale), distances, backward=True) for scale in zip(*backward, strict=True)],
        [_further(torch.stack(scale), distances, backward=False) for scale in zip(*forward, strict=True)],
    )


def _further(flow: torch.Tensor, distances: int, *, backward: bool) -> tuple[torch.Tensor, ...]:
    """Flows over one more frame: the flow of the last distance, and the next frame's as seen from where it leads."""
    flows = [flow]
    for distance in range(1, distances):
        last, step = flows[-1], flow
        base, onward = (last[:, :-1], step[:, distance:]) if backward else (last[:, 1:], step[:, :-distance])
        moved = flow_warp(onward.flatten(0, 1), base.flatten(0, 1)).view_as(base)
        flows.append(base + moved)
    return tuple(flows)


class Level(nn.Module):
    """Flow correction at one level of the pyramid."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(CHANNELS):
            layers += [nn.Conv2d(before, after, 7, padding=3), nn.ReLU(inplace=True)]
        self.basic_module = nn.Sequential(*layers[:-1])

    def forward(self, reference: torch.Tensor, source: torch.Tensor, flow: torch.Tensor | None) -> torch.Tensor:
        """The flow that warps `source` onto `reference`, from a first guess or none."""
        if flow is None:
            flow = reference.new_zeros((len(reference), 2, *reference.shape[2:]))
        else:
            source = flow_warp(source, flow, padding="border")
        dtype = next(self.parameters()).dtype
        guides = torch.cat([reference, source, flow], 1).to(dtype, memory_format=torch.channels_last)
        correction: torch.Tensor = self.basic_module(guides)
        return flow + correction.float()


class SpyNet(nn.Module):
    """Flow from coarse to fine. Its weights may have another dtype than those of the rest."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.basic_module = nn.ModuleList(Level() for _ in range(LEVELS))
        # Of ImageNet.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def both_ways(self, frames: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """For frames (D, 3, H, W) the flows between neighbours, (D - 1, 2, h, w) at each scale.

        The first list warps each frame onto the one before it, the second onto the one after it.
        """
        pyramid = self._pyramid(frames)
        firsts, seconds = [level[:-1] for level in pyramid], [level[1:] for level in pyramid]
        size = (frames.shape[2], frames.shape[3])
        return self._between(firsts, seconds, size), self._between(seconds, firsts, size)

    def _pyramid(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """Normalised float32 pictures, coarsest first, the finest with sides that are multiples of 32."""
        height, width = (-(-side // FLOW_MULTIPLE) * FLOW_MULTIPLE for side in frames.shape[2:])
        frames = functional.interpolate(frames.float(), (height, width), mode="bilinear", align_corners=False)
        levels = [(frames - self.mean.float()) / self.std.float()]
        for _ in range(LEVELS - 1):
            levels.append(functional.avg_pool2d(levels[-1], 2))
        return levels[::-1]

    def _between(
        self, references: list[torch.Tensor], sources: list[torch.Tensor], size: tuple[int, int]
    ) -> list[torch.Tensor]:
        finest = references[-1]
        # The widest layers: 64 channels, made from 32.
        each = max(CHANNELS) * finest[0, 0].nbytes
        done = [
            self._flow([level[a:b] for level in references], [level[a:b] for level in sources], size)
            for a, b in chunks(len(finest), each, finest.device.type)
        ]
        return [torch.cat(scale) for scale in zip(*done, strict=True)]

    def _flow(
        self, references: list[torch.Tensor], sources: list[torch.Tensor], size: tuple[int, int]
    ) -> list[torch.Tensor]:
        """Flows of some pairs, full size first."""
        flow, found = None, []
        for level, reference, source in zip(self.basic_module, references, sources, strict=True):
            if flow is not None:
                flow = _doubled(flow, (reference.shape[2], reference.shape[3]))
            flow = level(reference, source, flow)
            found.append(flow)
        return [
            _resized(flow, (size[0] // 2**halvings, size[1] // 2**halvings))
            for halvings, flow in enumerate(found[: -SCALES_OF_FLOW - 1 : -1])
        ]


def _doubled(flow: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A flow for twice the size; the last row and column are repeated where that is one pixel more."""
    flow = 2 * functional.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
    spare = (size[1] - flow.shape[3], size[0] - flow.shape[2])
    return functional.pad(flow, (0, spare[0], 0, spare[1]), mode="replicate") if any(spare) else flow


def _resized(flow: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A flow for a picture of another size."""
    if flow.shape[2:] == size:
        return flow
    factors = flow.new_tensor([size[1] / flow.shape[3], size[0] / flow.shape[2]])
    resized = functional.interpolate(flow, size, mode="bilinear", align_corners=False)
    return resized * factors.view(1, 2, 1, 1)

"""The stages of VRT's body: attention in windows, then neighbours warped onto each frame (VRT, figure 2).

Features are (N, D, H, W, C): channels last, so that the linear layers, which are most of the work, need no
transposition and convolutions get the channels-last layout for nothing. Only imported with the network: it imports
torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .attention import Block, Group
from .cache import BoundedCache
from .chunking import chunks
from .config import SCALES, VrtConfig
from .layers import GatedMlp, Rescale, add_linear
from .warping import ParallelWarping
from .window_partition import Size

# Pixels at full size by which deformable convolution may leave the flow.
REACH_PX = 10


def make_group(given: VrtConfig, place: int, count: int, window: Size, *, mutual: bool) -> Group:
    """`count` blocks for place `place` of the arguments' lists."""
    return Group(
        [
            Block(
                given.embed_dims[place],
                given.num_heads[place],
                window,
                shifted=index % 2 == 1,
                mutual=mutual,
                mlp_ratio=given.mlp_ratio,
                qkv_bias=given.qkv_bias,
                qk_scale=given.qk_scale,
            )
            for index in range(count)
        ]
    )


class Stage(nn.Module):
    """One of the seven stages: rescale, mutual and self attention, self attention, parallel warping."""

    def __init__(self, given: VrtConfig, place: int) -> None:
        super().__init__()
        channels, depth = given.embed_dims[place], given.depths[place]
        frames, rows, columns = given.window_size
        mutual = given.mutual_blocks(depth)
        self.reshape = _entrance(given, place)
        self.residual_group1 = make_group(given, place, mutual, (2, rows, columns), mutual=True)
        self.linear1 = nn.Linear(channels, channels)
        self.residual_group2 = make_group(given, place, depth - mutual, (frames, rows, columns), mutual=False)
        self.linear2 = nn.Linear(channels, channels)
        self.neighbours = given.neighbours
        if self.neighbours:
            reach = REACH_PX / SCALES[place]
            self.pa_deform = ParallelWarping(channels, self.neighbours, given.deformable_groups, reach)
            self.pa_fuse = GatedMlp(3 * channels, 3 * channels, channels)

    def forward(
        self,
        features: torch.Tensor,
        backward: Sequence[torch.Tensor],
        forward: Sequence[torch.Tensor],
        tables: BoundedCache,
    ) -> torch.Tensor:
        """(N, D, H, W, C) to that of this stage. Flows are those of its scale, by distance (see flow.Flows)."""
        features = self.reshape(features)
        work = features.clone()
        self.residual_group1(work, tables)
        add_linear(self.linear1, work, features)
        work.copy_(features)
        self.residual_group2(work, tables)
        add_linear(self.linear2, work, features)
        if not self.neighbours:
            return features
        # `work` is free again and takes the result.
        for clip, result, *flows in zip(features, work, *backward, *forward, strict=True):
            self._align(clip, result, flows[: self.neighbours], flows[self.neighbours :])
        return work

    def _align(
        self, clip: torch.Tensor, result: torch.Tensor, backward: list[torch.Tensor], forward: list[torch.Tensor]
    ) -> None:
        """Write each frame of a clip (D, H, W, C), fused with its aligned neighbours, to `result`."""
        channels = clip.shape[-1]
        each = 4 * self.pa_deform.widest * clip[0, ..., 0].numel()
        for start, stop in chunks(len(clip), each, clip.device.type):
            # Where there is no neighbour at all the aligned one is zero.
            fused = clip.new_zeros((stop - start, *clip.shape[1:3], 3 * channels))
            fused[..., :channels] = clip[start:stop]
            last = min(stop, len(clip) - 1)
            if start < last:
                aligned = self._aligned(clip, start, last, backward, step=1)
                fused[: last - start, ..., channels : 2 * channels] = aligned
            first = max(start, 1)
            if first < stop:
                aligned = self._aligned(clip, first, stop, forward, step=-1)
                fused[first - start :, ..., 2 * channels :] = aligned
            result[start:stop] = self.pa_fuse(fused)

    def _aligned(
        self, clip: torch.Tensor, start: int, stop: int, flows: Sequence[torch.Tensor], step: int
    ) -> torch.Tensor:
        """Neighbours in one direction (`step`) aligned with frames start to stop: (frames, H, W, C).

        A second or third neighbour beyond the clip's end is a zero feature with a zero flow.
        """
        frames = clip.permute(0, 3, 1, 2)
        neighbours, moves = [], []
        for distance, flow in enumerate(flows, 1):
            # The frames whose neighbour is there, counted from start.
            first = min(max(start, -step * distance), stop) - start
            last = max(min(stop, len(clip) - step * distance), start + first) - start
            missing = (first, stop - start - last)
            source = slice(start + first + step * distance, start + last + step * distance)
            # A flow is counted by the earlier of its two frames.
            move = slice(start + first, start + last) if step > 0 else source
            neighbours.append(_extended(frames[source], missing))
            moves.append(_extended(flow[move], missing))
        aligned: torch.Tensor = self.pa_deform(frames[start:stop], neighbours, moves)
        return aligned.permute(0, 2, 3, 1)


def _extended(frames: torch.Tensor, missing: tuple[int, int]) -> torch.Tensor:
    """With so many zero frames before and after."""
    return functional.pad(frames, (0, 0, 0, 0, 0, 0, *missing)) if any(missing) else frames


def _entrance(given: VrtConfig, place: int) -> Rescale:
    widths = given.embed_dims
    if place == 0:
        return Rescale(widths[0], None)
    way = "down" if SCALES[place] > SCALES[place - 1] else "up"
    return Rescale(widths[place - 1], widths[place], way)


class LastGroup(nn.Module):
    """A group of the last stage, which works at full size without warping."""

    def __init__(self, given: VrtConfig, place: int) -> None:
        super().__init__()
        frames, rows, columns = given.window_size
        window = (1 if place in given.indep_reconsts else frames, rows, columns)
        self.residual_group = make_group(given, place, given.depths[place], window, mutual=False)
        self.linear = nn.Linear(given.embed_dims[place], given.embed_dims[place])

    def forward(self, features: torch.Tensor, work: torch.Tensor, tables: BoundedCache) -> None:
        """Change features (N, D, H, W, C) in place; `work` is room of their size."""
        work.copy_(features)
        self.residual_group(work, tables)
        add_linear(self.linear, work, features)


class LastStage(nn.ModuleList):
    """Stage 8: to its own width, then its groups."""

    def __init__(self, given: VrtConfig) -> None:
        super().__init__([Rescale(given.embed_dims[6], given.embed_dims[7])])
        self.extend(LastGroup(given, place) for place in range(7, len(given.depths)))

    def forward(self, features: torch.Tensor, tables: BoundedCache) -> torch.Tensor:
        """(N, D, H, W, C) to that of this stage."""
        features = self[0](features)
        work = torch.empty_like(features)
        for index in range(1, len(self)):
            self[index](features, work, tables)
        return features

"""Stages of VRT's body: window attention, then neighbours warped onto each frame (VRT, figure 2).

Features are (N, D, H, W, C): channels last, so that linear layers, most of the work, need no transposition and
convolutions get the channels-last layout for free. Only imported with the network: it imports
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

# Largest offset of deformable convolution from the flow, in pixels at full size.
REACH_PX = 10


def make_group(config: VrtConfig, stage: int, count: int, window: Size, *, mutual: bool) -> Group:
    """A group of `count` blocks for entry `stage` of the lists of the configuration."""
    return Group(
        [
            Block(
                config.embed_dims[stage],
                config.num_heads[stage],
                window,
                shifted=index % 2 == 1,
                mutual=mutual,
                mlp_ratio=config.mlp_ratio,
                qkv_bias=config.qkv_bias,
                qk_scale=config.qk_scale,
            )
            for index in range(count)
        ]
    )


class Stage(nn.Module):
    """Stage of the body: rescale, mutual and self attention, self attention, parallel warping."""

    def __init__(self, config: VrtConfig, stage: int) -> None:
        super().__init__()
        channels, depth = config.embed_dims[stage], config.depths[stage]
        frames, rows, columns = config.window_size
        mutual = config.mutual_blocks(depth)
        self.reshape = _make_rescale(config, stage)
        self.residual_group1 = make_group(config, stage, mutual, (2, rows, columns), mutual=True)
        self.linear1 = nn.Linear(channels, channels)
        self.residual_group2 = make_group(config, stage, depth - mutual, (frames, rows, columns), mutual=False)
        self.linear2 = nn.Linear(channels, channels)
        self.neighbours = config.neighbours
        if self.neighbours:
            reach = REACH_PX / SCALES[stage]
            self.pa_deform = ParallelWarping(channels, self.neighbours, config.deformable_groups, reach)
            self.pa_fuse = GatedMlp(3 * channels, 3 * channels, channels)

    def forward(
        self,
        features: torch.Tensor,
        backward: Sequence[torch.Tensor],
        forward: Sequence[torch.Tensor],
        tables: BoundedCache,
    ) -> torch.Tensor:
        """(N, D, H, W, C) to the features of this stage. Flows are of its scale, by distance (see `spynet.Flows`)."""
        features = self.reshape(features)
        work = features.clone()
        self.residual_group1(work, tables)
        add_linear(self.linear1, work, features)
        work.copy_(features)
        self.residual_group2(work, tables)
        add_linear(self.linear2, work, features)
        if not self.neighbours:
            return features
        # `work` is free again and is reused for the result.
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
            # Without a neighbour the aligned features are zero.
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
        neighbours, shifts = [], []
        for distance, flow in enumerate(flows, 1):
            # The frames that have this neighbour, counted from start.
            first = min(max(start, -step * distance), stop) - start
            last = max(min(stop, len(clip) - step * distance), start + first) - start
            missing = (first, stop - start - last)
            source = slice(start + first + step * distance, start + last + step * distance)
            # The index of a flow is that of the earlier of its two frames.
            index = slice(start + first, start + last) if step > 0 else source
            neighbours.append(_pad_frames(frames[source], missing))
            shifts.append(_pad_frames(flow[index], missing))
        aligned: torch.Tensor = self.pa_deform(frames[start:stop], neighbours, shifts)
        return aligned.permute(0, 2, 3, 1)


def _pad_frames(frames: torch.Tensor, missing: tuple[int, int]) -> torch.Tensor:
    """Pad with a number of zero frames before and after."""
    return functional.pad(frames, (0, 0, 0, 0, 0, 0, *missing)) if any(missing) else frames


def _make_rescale(config: VrtConfig, stage: int) -> Rescale:
    widths = config.embed_dims
    if stage == 0:
        return Rescale(widths[0], None)
    direction = "down" if SCALES[stage] > SCALES[stage - 1] else "up"
    return Rescale(widths[stage - 1], widths[stage], direction)


class LastGroup(nn.Module):
    """Group of the last stage, at full size without warping."""

    def __init__(self, config: VrtConfig, stage: int) -> None:
        super().__init__()
        frames, rows, columns = config.window_size
        window = (1 if stage in config.indep_reconsts else frames, rows, columns)
        self.residual_group = make_group(config, stage, config.depths[stage], window, mutual=False)
        self.linear = nn.Linear(config.embed_dims[stage], config.embed_dims[stage])

    def forward(self, features: torch.Tensor, work: torch.Tensor, tables: BoundedCache) -> None:
        """Change features (N, D, H, W, C) in place; `work` is a buffer of their size."""
        work.copy_(features)
        self.residual_group(work, tables)
        add_linear(self.linear, work, features)


class LastStage(nn.ModuleList):
    """Stage 8: a rescale to its width, then its groups."""

    def __init__(self, config: VrtConfig) -> None:
        super().__init__([Rescale(config.embed_dims[6], config.embed_dims[7])])
        self.extend(LastGroup(config, stage) for stage in range(7, len(config.depths)))

    def forward(self, features: torch.Tensor, tables: BoundedCache) -> torch.Tensor:
        """(N, D, H, W, C) to that of this stage."""
        features = self[0](features)
        work = torch.empty_like(features)
        for index in range(1, len(self)):
            self[index](features, work, tables)
        return features

"""Small layers of VRT. Only imported with the network: it imports torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .chunking import chunks


class FrameConv(nn.Conv3d):
    """A 3×3 convolution of each frame, with the weight shape (out, in, 1, 3, 3) of the checkpoints."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        return functional.conv2d(frames, self.weight.squeeze(2), self.bias, padding=1)


class GatedMlp(nn.Module):
    """fc2(GELU(fc11 x) * fc12 x) (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, channels: int, hidden: int, channels_out: int) -> None:
        super().__init__()
        self.fc11 = nn.Linear(channels, hidden)
        self.fc12 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels_out)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(..., C) to (..., C')."""
        gate = functional.gelu(self.fc11(tokens))
        result: torch.Tensor = self.fc2(gate.mul_(self.fc12(tokens)))
        return result


class Rescale(nn.ModuleDict):
    """Norm, and but for the first stage a Linear, after 2×2 blocks became channels ("down") or the reverse ("up").

    The channels of a block are in the order column offset, row offset, channel; pixel shuffle's is another. The keys
    "1" and "2" are the checkpoints'.
    """

    def __init__(self, channels: int, channels_out: int | None, way: str = "same") -> None:
        self.way = way
        width = {"down": channels * 4, "up": channels // 4, "same": channels}[way]
        parts: dict[str, nn.Module] = {"1": nn.LayerNorm(width)}
        if channels_out is not None:
            parts["2"] = nn.Linear(width, channels_out)
        super().__init__(parts)
        self.channels_out = channels_out or width

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """(N, D, H, W, C) to (N, D, H', W', C'), always a new tensor."""
        count, length, height, width, _ = clip.shape
        factor = {"down": (1, 2), "up": (2, 1), "same": (1, 1)}[self.way]
        height, width = height * factor[0] // factor[1], width * factor[0] // factor[1]
        frames = clip.flatten(0, 1)
        result = clip.new_empty((count * length, height, width, self.channels_out))
        for start, stop in chunks(len(frames), frames[0].nbytes, clip.device.type):
            result[start:stop] = self._rescale(frames[start:stop])
        return result.view(count, length, height, width, self.channels_out)

    def _rescale(self, frames: torch.Tensor) -> torch.Tensor:
        count, height, width, channels = frames.shape
        if self.way == "down":
            blocks = frames.view(count, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 4, 2, 5)
            frames = blocks.reshape(count, height // 2, width // 2, 4 * channels)
        elif self.way == "up":
            blocks = frames.view(count, height, width, 2, 2, channels // 4).permute(0, 1, 4, 2, 3, 5)
            frames = blocks.reshape(count, 2 * height, 2 * width, channels // 4)
        for part in self.values():
            frames = part(frames)
        return frames


def add_linear(linear: nn.Linear, source: torch.Tensor, target: torch.Tensor) -> None:
    """Add linear(source) to target in place, both (..., C); in pieces, so that no third clip is made."""
    source, target = source.flatten(0, -2), target.view(-1, target.shape[-1])
    for start, stop in chunks(len(source), target[0].nbytes, target.device.type):
        target[start:stop] += linear(source[start:stop])

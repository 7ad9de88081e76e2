"""Which tokens attend to each other, and where they stand: the tables of shifted windows (VRT, section 3.3).

Clips have sizes (D, H, W): frames, rows, columns. Only imported with the network: it imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

# What a token of another region is told apart by. Not minus infinity: the checkpoints were trained with this.
FAR = -100.0

Size = tuple[int, int, int]
Axes = tuple[bool, bool, bool]


@dataclass(frozen=True)
class MaskGroup:
    """Windows start to stop, all with one mask: those at the end of the axes named True, where the roll wrapped."""

    start: int
    stop: int
    wrapped: Axes


@dataclass(frozen=True)
class WindowPlan:
    """The windows of a clip of one size.

    A place is a token of a window; places are counted window after window, and the windows are in the order of their
    kinds, which is not that of the clip.
    """

    window: Size
    """As it is used: an axis shorter than the configured window is one window."""
    shift: Size
    rows: torch.Tensor
    """int64 (places): which token of the clip is there. 0 in the padding."""
    padding: torch.Tensor | None
    """bool (places, 1): True in the padding. None if there is none."""
    inside: torch.Tensor
    """int64: the places that are not padding; empty if there is none."""
    inside_before: tuple[int, ...]
    """How many of `inside` come before each window; empty if there is no padding."""
    kinds: tuple[MaskGroup, ...]

    @property
    def tokens(self) -> int:
        """Places of a window."""
        return math.prod(self.window)

    @property
    def windows(self) -> int:
        """How many there are."""
        return self.kinds[-1].stop

    def kinds_within(self, start: int, stop: int) -> list[tuple[MaskGroup, tuple[int, int]]]:
        """The kinds of windows start to stop, each with its range counted from start."""
        ranges = [(kind, (max(kind.start, start) - start, min(kind.stop, stop) - start)) for kind in self.kinds]
        return [(kind, (first, last)) for kind, (first, last) in ranges if first < last]

    @property
    def nbytes(self) -> int:
        """Of its tensors."""
        return self.rows.nbytes + self.inside.nbytes + (0 if self.padding is None else self.padding.nbytes)


def used_window(size: Size, window: Size, shifted: bool) -> tuple[Size, Size]:
    """Window and shift as they are used: an axis no longer than the window is one window, and not shifted."""
    used = tuple(min(length, wanted) for length, wanted in zip(size, window, strict=True))
    shift = tuple(
        wanted // 2 if shifted and length > wanted else 0 for length, wanted in zip(size, window, strict=True)
    )
    return (used[0], used[1], used[2]), (shift[0], shift[1], shift[2])


def plan_windows(size: Size, window: Size, shifted: bool, device: torch.device) -> WindowPlan:
    """The windows of a clip: padded at the ends of its axes to whole windows, rolled back by the shift, cut up."""
    used, shift = used_window(size, window, shifted)
    counts = [-(-length // side) for length, side in zip(size, used, strict=True)]
    padded = [count * side for count, side in zip(counts, used, strict=True)]
    places = torch.arange(math.prod(padded)).view(padded).roll([-step for step in shift], (0, 1, 2))
    places = _cut(places, counts, used)
    last = torch.arange(math.prod(counts)).view(counts)
    axes = [(torch.arange(count) == count - 1) & (step > 0) for count, step in zip(counts, shift, strict=True)]
    wrapped = (4 * axes[0][:, None, None] + 2 * axes[1][:, None] + 1 * axes[2]).expand_as(last).flatten()
    order = torch.argsort(wrapped, stable=True)
    places = places[order].flatten()
    frame, row, column = (
        places // (padded[1] * padded[2]),
        places // padded[2] % padded[1],
        places % padded[2],
    )
    outside = (frame >= size[0]) | (row >= size[1]) | (column >= size[2])
    rows = ((frame * size[1] + row) * size[2] + column).masked_fill(outside, 0)
    kinds = _kinds(wrapped[order].tolist())
    if not outside.any():
        return WindowPlan(used, shift, rows.to(device), None, rows.new_empty(0), (), kinds)
    inside = (~outside).nonzero().flatten()
    per_window = (~outside).view(len(order), -1).sum(1).cumsum(0).tolist()
    return WindowPlan(
        used, shift, rows.to(device), outside[:, None].to(device), inside.to(device), (0, *per_window), kinds
    )


def _cut(places: torch.Tensor, counts: Sequence[int], window: Size) -> torch.Tensor:
    """(D, H, W) to (windows, tokens), both with columns fastest."""
    split = [length for pair in zip(counts, window, strict=True) for length in pair]
    return places.reshape(split).permute(0, 2, 4, 1, 3, 5).reshape(math.prod(counts), -1)


def _kinds(wrapped: list[int]) -> tuple[MaskGroup, ...]:
    """Runs of windows with the same wrapped axes."""
    kinds, start = [], 0
    for code, run in groupby(wrapped):
        stop = start + sum(1 for _ in run)
        kinds.append(MaskGroup(start, stop, (bool(code & 4), bool(code & 2), bool(code & 1))))
        start = stop
    return tuple(kinds)


def region_mask(window: Size, shift: Size, wrapped: Axes) -> torch.Tensor:
    """(tokens, tokens) float32, to be added to attention logits: FAR between tokens that the roll brought together.

    Along a wrapped axis the last `shift` places of a window come from the other end of the clip.
    """
    far_end = [
        (torch.arange(side) >= side - step) & flag for side, step, flag in zip(window, shift, wrapped, strict=True)
    ]
    regions = (4 * far_end[0][:, None, None] + 2 * far_end[1][:, None] + 1 * far_end[2]).flatten()
    return (regions[:, None] != regions).float() * FAR


def relative_index(window: Size) -> torch.Tensor:
    """(tokens, tokens) int64: the row of a relative position table for each query and key."""
    axes = torch.meshgrid(*(torch.arange(side) for side in window), indexing="ij")
    index = torch.zeros((), dtype=torch.long)
    for position, side in zip((axis.flatten() for axis in axes), window, strict=True):
        index = index * (2 * side - 1) + position[:, None] - position + side - 1
    return index


def position_encoding(height: int, width: int, channels: int) -> torch.Tensor:
    """(1, height*width, channels) float32: sines and cosines of row (first half) and column (second half).

    As in the transformer (Vaswani et al. 2017, section 3.5), with positions 1 to L scaled to one turn as in DETR
    (Carion et al. 2020).
    """
    half = channels // 2
    frequency = 10000 ** (-2 * (torch.arange(half) // 2) / half)

    def encode(length: int) -> torch.Tensor:
        position = torch.arange(1, length + 1) / (length + 1e-6) * (2 * math.pi)
        angle = position[:, None] * frequency
        return torch.where(torch.arange(half) % 2 == 0, angle.sin(), angle.cos())

    rows = encode(height)[:, None].expand(height, width, half)
    columns = encode(width)[None].expand(height, width, half)
    return torch.cat([rows, columns], -1).reshape(1, height * width, 2 * half)

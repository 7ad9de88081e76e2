"""Self and mutual attention in shifted windows, and the blocks made of it (VRT, section 3.3).

A block works on one clip's tokens (tokens, C) in place, a few windows at a time, so that nothing but the features is
ever as large as the clip. Only imported with the network: it imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from .cache import BoundedCache
from .chunking import chunk_length, widest_of_block
from .layers import GatedMlp
from .window_partition import MaskGroup, Size, WindowPlan, plan_windows, position_encoding, region_mask, relative_index

# Fused attention of cards wants the channels of a head in multiples of this; others would fall back to whole matrices.
HEAD_MULTIPLE = 8


@dataclass(frozen=True)
class WindowRange:
    """Windows start to stop of a piece, all of one kind, and what is added to their logits."""

    start: int
    stop: int
    bias: torch.Tensor
    """(1, heads, tokens, tokens): of self attention."""
    mask: torch.Tensor | None
    """(1, 1, tokens/2, tokens/2): of mutual attention."""


class WindowAttention(nn.Module):
    """Attention of each token to its window, and with `mutual` of each of two frames to the other one."""

    relative_position_index: torch.Tensor
    position_bias: torch.Tensor

    def __init__(
        self, channels: int, heads: int, window: Size, *, mutual: bool, qkv_bias: bool, qk_scale: float | None
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale = qk_scale or (channels // heads) ** -0.5
        self.mutual = mutual
        entries = math.prod(2 * side - 1 for side in window)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(torch.empty(entries, heads), std=0.02))
        self.register_buffer("relative_position_index", relative_index(window))
        if mutual:
            self.register_buffer("position_bias", position_encoding(window[1], window[2], channels))
        self.qkv_self = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(2 * channels if mutual else channels, channels)
        if mutual:
            self.qkv_mut = nn.Linear(channels, 3 * channels, bias=qkv_bias)

    def forward(self, tokens: torch.Tensor, parts: Sequence[WindowRange]) -> torch.Tensor:
        """(windows, tokens, C) to the same."""
        channels = tokens.shape[-1]
        own = self._attend_itself(tokens, parts)
        if not self.mutual:
            result: torch.Tensor = self.proj(own)
            return result
        other = self._attend_other(tokens, parts)
        # The weight's columns are [mutual, self]; two products need no concatenation.
        result = functional.linear(own, self.proj.weight[:, channels:], self.proj.bias)
        flat = result.view(-1, channels)
        flat.addmm_(other.view(-1, channels), self.proj.weight[:, :channels].t())
        return result

    def _attend_itself(self, tokens: torch.Tensor, parts: Sequence[WindowRange]) -> torch.Tensor:
        query, key, value = self._heads(self.qkv_self(tokens))
        done = []
        for part in parts:
            own = slice(part.start, part.stop)
            done.append(attend(query[own], key[own], value[own], part.bias, self.scale, _head_multiple(tokens)))
        return _joined(done)

    def _attend_other(self, tokens: torch.Tensor, parts: Sequence[WindowRange]) -> torch.Tensor:
        """Where frame A stands, what B asks of A, and the reverse.

        The mask is that of the window's first frame for both, so frames that the roll brought together in time do see
        each other here.
        """
        count, both, channels = tokens.shape
        frames = tokens.view(2 * count, both // 2, channels)
        query, key, value = self._heads(self.qkv_mut(frames + self.position_bias))
        query = query.reshape(count, 2, *query.shape[1:]).flip(1).flatten(0, 1)
        done = []
        for part in parts:
            own = slice(2 * part.start, 2 * part.stop)
            done.append(attend(query[own], key[own], value[own], part.mask, self.scale, _head_multiple(tokens)))
        return _joined(done)

    def _heads(self, qkv: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, tokens, [q|k|v] by head) to three of (B, heads, tokens, channels of a head)."""
        query, key, value = qkv.view(*qkv.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def logits(
        self, kind: MaskGroup, plan: WindowPlan, tables: BoundedCache
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Bias and mask of windows of a kind (see Part)."""
        bias = self._bias(kind, plan, tables)
        return bias, _spatial_mask(kind, plan, tables, bias) if self.mutual else None

    def _bias(self, kind: MaskGroup, plan: WindowPlan, tables: BoundedCache) -> torch.Tensor:
        """(1, heads, tokens, tokens): the relative position bias, and the mask where windows wrap.

        For a window that was clipped the top left of the configured window's index is used, as in training.
        """
        table, index, tokens = self.relative_position_bias_table, self.relative_position_index, plan.tokens

        def make() -> torch.Tensor:
            by_head = table.t().contiguous()
            bias = by_head.index_select(1, index[:tokens, :tokens].flatten()).view(-1, tokens, tokens)
            if any(kind.wrapped):
                bias += region_mask(plan.window, plan.shift, kind.wrapped).to(bias)
            return bias[None]

        weights = (id(self), table.data_ptr(), _version(table), index.data_ptr(), _version(index))
        return tables.tensor(("bias", *weights, table.dtype, table.device, plan.window, plan.shift, kind.wrapped), make)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bias: torch.Tensor | None,
    scale: float,
    multiple: int = 1,
) -> torch.Tensor:
    """softmax(q kᵀ scale + bias) v of (B, heads, tokens, d), as (B, tokens, heads*d).

    A head's channels are filled up with zeros to a multiple, which changes nothing.
    """
    width = query.shape[-1]
    if width % multiple:
        query, key, value = (functional.pad(part, (0, -width % multiple)) for part in (query, key, value))
    done = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)
    return done[..., :width].transpose(1, 2).flatten(2)


def _spatial_mask(kind: MaskGroup, plan: WindowPlan, tables: BoundedCache, like: torch.Tensor) -> torch.Tensor | None:
    """(1, 1, tokens, tokens) of one frame of the window, or None."""
    if not any(kind.wrapped[1:]):
        return None
    window, shift, wrapped = (1, *plan.window[1:]), (0, *plan.shift[1:]), (False, *kind.wrapped[1:])
    key = ("mask", like.dtype, like.device, window, shift, wrapped)
    return tables.tensor(key, lambda: region_mask(window, shift, wrapped).to(like)[None, None])


def _head_multiple(tokens: torch.Tensor) -> int:
    return 1 if tokens.device.type == "cpu" else HEAD_MULTIPLE


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _version(tensor: torch.Tensor) -> int:
    """Counts changes in place; tensors made in inference mode do not."""
    return 0 if tensor.is_inference() else tensor._version


class Block(nn.Module):
    """x + attention(norm1 x), then x + mlp(norm2 x)."""

    def __init__(
        self,
        channels: int,
        heads: int,
        window: Size,
        *,
        shifted: bool,
        mutual: bool,
        mlp_ratio: float,
        qkv_bias: bool,
        qk_scale: float | None,
    ) -> None:
        super().__init__()
        self.window, self.shifted = window, shifted
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window, mutual=mutual, qkv_bias=qkv_bias, qk_scale=qk_scale)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = GatedMlp(channels, int(channels * mlp_ratio), channels)

    def forward(self, clip: torch.Tensor, size: Size, tables: BoundedCache) -> None:
        """Change a clip's tokens (D*H*W, C) in place."""
        key = ("plan", size, self.window, self.shifted, clip.device)
        plan = tables.get(
            key, lambda: plan_windows(size, self.window, self.shifted, clip.device), lambda made: made.nbytes
        )
        # Windows come in the order of their kinds: a bias that found no room in the tables is made once.
        ready: dict[MaskGroup, tuple[torch.Tensor, torch.Tensor | None]] = {}
        for start, stop in self._pieces(plan, clip):
            ranges = plan.kinds_within(start, stop)
            ready = {kind: ready.get(kind) or self.attn.logits(kind, plan, tables) for kind, _ in ranges}
            self._windows(clip, plan, start, stop, [WindowRange(*range_, *ready[kind]) for kind, range_ in ranges])

    def _windows(
        self, clip: torch.Tensor, plan: WindowPlan, start: int, stop: int, parts: Sequence[WindowRange]
    ) -> None:
        """Windows start to stop. No token is in two windows, so the result can replace its source at once."""
        places = slice(start * plan.tokens, stop * plan.tokens)
        rows = plan.rows[places]
        tokens = clip.index_select(0, rows)
        normed = self.norm1(tokens)
        if plan.padding is not None:
            normed.masked_fill_(plan.padding[places], 0)
        attended = self.attn(normed.view(stop - start, plan.tokens, -1), parts).flatten(0, 1)
        if plan.padding is not None:
            inside = plan.inside[plan.inside_before[start] : plan.inside_before[stop]] - places.start
            tokens, attended = tokens.index_select(0, inside), attended.index_select(0, inside)
            rows = rows.index_select(0, inside)
        tokens += attended
        tokens += self.mlp(self.norm2(tokens))
        clip.index_copy_(0, rows, tokens)

    def _pieces(self, plan: WindowPlan, clip: torch.Tensor) -> Iterator[tuple[int, int]]:
        """Ranges of windows whose queries, keys and values, hidden layer or attention matrix fit into a piece."""
        kind = clip.device.type
        width = widest_of_block(clip.shape[-1], self.mlp.fc11.out_features, self.attn.heads * plan.tokens, kind)
        step = chunk_length(width * plan.tokens * clip.element_size(), kind)
        for start in range(0, plan.windows, step):
            yield start, min(start + step, plan.windows)


class Group(nn.Module):
    """Blocks one after the other; every second one is shifted."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, clips: torch.Tensor, tables: BoundedCache) -> None:
        """Change (N, D, H, W, C) in place."""
        _, frames, height, width, channels = clips.shape
        for clip in clips:
            for block in self.blocks:
                block(clip.view(-1, channels), (frames, height, width), tables)

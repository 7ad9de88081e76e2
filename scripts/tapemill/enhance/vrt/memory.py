"""Memory model of VRT, without torch: estimates for a clip before anything is loaded.

Derived from the tensors that the modules hold at the same time; tests compare it with real allocations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .chunking import cache_bytes, chunk_length, widest_of_block
from .config import FLOW_MULTIPLE, HEAD_CHANNELS, SCALES, VrtConfig

# Input and output channels of SpyNet's widest layer.
FLOW_CHANNELS = 32 + 64
FLOAT_BYTES = 4


@dataclass(frozen=True)
class MemoryModel:
    """Memory of a clip, without the weights."""

    peak_bytes: int
    largest_tensor_bytes: int


@dataclass(frozen=True)
class _Clip:
    config: VrtConfig
    frames: int
    height: int
    width: int
    itemsize: int
    kind: str

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def features(self, stage: int) -> int:
        """Bytes of the features of a stage."""
        scale = SCALES[stage] if stage < len(SCALES) else 1
        return self.config.embed_dims[stage] * self.frames * self.pixels * self.itemsize // scale**2

    def chunk_items(self, each_bytes: int, count: int) -> int:
        """Number of `count` items in a chunk."""
        return min(count, chunk_length(each_bytes, self.kind))


def activation_bytes(
    config: VrtConfig, frames: int, height: int, width: int, itemsize: int = FLOAT_BYTES, kind: str = "cpu"
) -> MemoryModel:
    """Estimate memory for one clip, with weights of `itemsize` bytes, on a kind of device ("cpu", "cuda", "xpu").

    The largest tensor is usually the features of the last stage, frames × height × width × its width (180 or 120)
    × itemsize: 40 frames of 128×128 have 225 MiB in half precision. On a small clip it is a chunk (see `chunks`).
    """
    clip = _Clip(config, frames, height, width, itemsize, kind)
    last = clip.features(len(config.depths) - 1)
    first = clip.features(0)
    peaks = [_flow_bytes(clip), first + 2 * last + _block_bytes(clip, len(config.depths) - 1), _head_bytes(clip)]
    held = first
    for stage in range(len(SCALES)):
        both = 2 * clip.features(stage)
        entered = clip.features(stage - 1) if stage else 0
        peaks.append(held + entered + both + max(_block_bytes(clip, stage), _alignment_bytes(clip, stage)))
        if stage < SCALES.index(max(SCALES)):
            held += clip.features(stage)
        elif stage > SCALES.index(max(SCALES)):
            held -= clip.features(2 * SCALES.index(max(SCALES)) - stage)
    largest = max(last, first, config.upscale**2 * 3 * frames * clip.pixels * itemsize, *_chunk_tensor_bytes(clip))
    return MemoryModel(max(peaks) + _stored_flow_bytes(clip) + _cache_bytes(clip), largest)


def _stored_flow_bytes(clip: _Clip) -> int:
    """Flows: two directions of two coordinates, at four scales, for each distance."""
    return round(2 * 2 * FLOAT_BYTES * clip.frames * clip.pixels * 4 / 3) * clip.config.neighbours


def _flow_bytes(clip: _Clip) -> int:
    """SpyNet: images at all levels, and a chunk of its widest layer."""
    if not clip.config.pa_frames:
        return 0
    pixels = math.prod(-(-side // FLOW_MULTIPLE) * FLOW_MULTIPLE for side in (clip.height, clip.width))
    pairs = clip.chunk_items(64 * FLOAT_BYTES * pixels, clip.frames - 1)
    return FLOAT_BYTES * pixels * (2 * 3 * clip.frames * 4 // 3 + FLOW_CHANNELS * pairs)


def _cache_bytes(clip: _Clip) -> int:
    """Cache: position biases, up to its limit, and indices of six kinds of windows."""
    config = clip.config
    frames, rows, columns = config.window_size
    entries = 0
    for stage, (depth, heads) in enumerate(zip(config.depths, config.num_heads, strict=True)):
        short = config.mutual_blocks(depth) if stage < len(SCALES) else depth * (stage in config.indep_reconsts)
        tokens = (2 if stage < len(SCALES) else 1) * rows * columns
        entries += heads * (short * tokens**2 + (depth - short) * (frames * rows * columns) ** 2)
    # Every second block has masks as well, at three of its borders.
    return min(cache_bytes(clip.kind), 5 * entries * clip.itemsize // 2) + 6 * 8 * clip.frames * clip.pixels


def _block_bytes(clip: _Clip, stage: int) -> int:
    """Temporaries of a block for a chunk of windows."""
    config, channels = clip.config, clip.config.embed_dims[stage]
    scale = SCALES[stage] if stage < len(SCALES) else 1
    hidden = int(channels * config.mlp_ratio)
    window = math.prod(config.window_size)
    row = config.num_heads[stage] * window
    wide = widest_of_block(channels, hidden, row, clip.kind)
    windows = -(-clip.frames * clip.pixels // scale**2 // window)
    tokens = window * clip.chunk_items(wide * window * clip.itemsize, windows)
    # Tokens, norm, own and other attention, the other's queries twice; or tokens, norm and three hidden layers.
    return tokens * clip.itemsize * max(10 * channels + (row if clip.kind != "cpu" else 0), 3 * channels + 3 * hidden)


def _alignment_bytes(clip: _Clip, stage: int) -> int:
    """Temporaries of parallel warping for a chunk of frames."""
    config, channels, count = clip.config, clip.config.embed_dims[stage], clip.config.neighbours
    if not count:
        return 0
    pixels, groups = clip.pixels // SCALES[stage] ** 2, config.deformable_groups
    guides = (1 + count) * channels + 2 * count
    each = FLOAT_BYTES * max(guides, 3 * channels, 27 * groups) * pixels
    frames = clip.chunk_items(each, clip.frames)
    columns = 9 * count * channels * pixels * FLOAT_BYTES * frames
    if clip.kind != "cuda":
        row = columns * clip.width // SCALES[stage] // pixels
        columns = min(columns, max(row, row * chunk_length(row, clip.kind)))
    # Input of the fusion, planes of the neighbours (twice if there are several), offsets before and after conversion.
    half = 4 * channels + 27 * groups
    whole = (1 + (count > 1)) * count * channels + 27 * groups
    sampling = frames * pixels * (half * clip.itemsize + whole * FLOAT_BYTES) + 2 * columns
    guiding = frames * pixels * clip.itemsize * (3 * channels + 2 * guides + (count + 1) * channels)
    fusing = frames * pixels * clip.itemsize * (3 * channels + 3 * 3 * channels)
    return max(sampling, guiding, fusing)


def _head_bytes(clip: _Clip) -> int:
    """Head: features, images, and the widest layers of a chunk of frames."""
    config, scale = clip.config, clip.config.upscale
    if not config.pa_frames:
        return 2 * clip.features(0) + 2 * HEAD_CHANNELS * clip.pixels * clip.itemsize
    wide = HEAD_CHANNELS * scale**2 if scale > 1 else config.embed_dims[0]
    frames = clip.chunk_items(wide * clip.pixels * clip.itemsize, clip.frames)
    images = 3 * scale**2 * clip.frames * clip.pixels * clip.itemsize
    return clip.features(0) + images + 2 * wide * clip.pixels * clip.itemsize * frames


def _chunk_tensor_bytes(clip: _Clip) -> list[int]:
    """Largest tensor of each kind of chunk: bytes of one item times their number."""
    config, body = clip.config, clip.config.embed_dims[: len(SCALES)]
    wide = HEAD_CHANNELS * config.upscale**2 if config.upscale > 1 else config.embed_dims[0]
    window = math.prod(config.window_size)
    items = [
        (wide * clip.pixels * clip.itemsize, clip.frames),
        (3 * max(config.embed_dims) * window * clip.itemsize, -(-clip.frames * clip.pixels // window)),
    ]
    if config.pa_frames:
        guides = max((1 + config.neighbours) * width + 2 * config.neighbours for width in body)
        wide = max(max(guides, 3 * max(body)) * clip.itemsize, 27 * config.deformable_groups * FLOAT_BYTES)
        items.append((wide * clip.pixels, clip.frames))
        # Our deformable convolution samples rows, torchvision's whole frames.
        sampled = 9 * config.neighbours * max(body) * FLOAT_BYTES * clip.width
        rows = (sampled * clip.height, clip.frames) if clip.kind == "cuda" else (sampled, clip.frames * clip.height)
        items.append(rows)
    return [each * clip.chunk_items(each, count) for each, count in items]

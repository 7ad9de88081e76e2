"""How much memory a clip will take, without torch: what the preflight asks before anything is loaded.

Derived from what the modules keep at the same time; tests compare it with what is really allocated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .chunking import cache_bytes, chunk_length, widest_of_block
from .config import FLOW_MULTIPLE, HEAD_CHANNELS, SCALES, VrtConfig

# Channels that SpyNet's widest layer reads and makes.
FLOW_CHANNELS = 32 + 64
FLOAT_BYTES = 4


@dataclass(frozen=True)
class MemoryModel:
    """Memory beside the weights."""

    peak_bytes: int
    largest_tensor_bytes: int


@dataclass(frozen=True)
class _Clip:
    given: VrtConfig
    frames: int
    height: int
    width: int
    itemsize: int
    kind: str

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def features(self, place: int) -> int:
        """Of the stage at this place of the lists, in bytes."""
        scale = SCALES[place] if place < len(SCALES) else 1
        return self.given.embed_dims[place] * self.frames * self.pixels * self.itemsize // scale**2

    def together(self, each_bytes: int, count: int) -> int:
        """How many of `count` items are worked on at once."""
        return min(count, chunk_length(each_bytes, self.kind))


def activation_bytes(
    given: VrtConfig, frames: int, height: int, width: int, itemsize: int = FLOAT_BYTES, kind: str = "cpu"
) -> MemoryModel:
    """For one clip of this size, weights of `itemsize` bytes, on a device of this kind ("cpu", "cuda", "xpu").

    The largest tensor is usually the features of the last stage, frames × height × width × its width (180 or 120)
    × itemsize: 40 frames of 128×128 have 225 MiB in half precision. On a small clip it is a piece (see `chunks`).
    """
    clip = _Clip(given, frames, height, width, itemsize, kind)
    last = clip.features(len(given.depths) - 1)
    first = clip.features(0)
    peaks = [_flow_bytes(clip), first + 2 * last + _block_bytes(clip, len(given.depths) - 1), _head_bytes(clip)]
    kept = first
    for place in range(len(SCALES)):
        both = 2 * clip.features(place)
        entered = clip.features(place - 1) if place else 0
        peaks.append(kept + entered + both + max(_block_bytes(clip, place), _alignment_bytes(clip, place)))
        if place < SCALES.index(max(SCALES)):
            kept += clip.features(place)
        elif place > SCALES.index(max(SCALES)):
            kept -= clip.features(2 * SCALES.index(max(SCALES)) - place)
    largest = max(last, first, given.upscale**2 * 3 * frames * clip.pixels * itemsize, *_pieces_bytes(clip))
    return MemoryModel(max(peaks) + _kept_flows(clip) + _table_bytes(clip), largest)


def _kept_flows(clip: _Clip) -> int:
    """Two directions of two coordinates, at four scales, for each distance."""
    return round(2 * 2 * FLOAT_BYTES * clip.frames * clip.pixels * 4 / 3) * clip.given.neighbours


def _flow_bytes(clip: _Clip) -> int:
    """SpyNet: pictures at all levels, and a piece of its widest layer."""
    if not clip.given.pa_frames:
        return 0
    pixels = math.prod(-(-side // FLOW_MULTIPLE) * FLOW_MULTIPLE for side in (clip.height, clip.width))
    pairs = clip.together(64 * FLOAT_BYTES * pixels, clip.frames - 1)
    return FLOAT_BYTES * pixels * (2 * 3 * clip.frames * 4 // 3 + FLOW_CHANNELS * pairs)


def _table_bytes(clip: _Clip) -> int:
    """Position biases, up to their limit, and the places of six kinds of windows."""
    given = clip.given
    frames, rows, columns = given.window_size
    entries = 0
    for place, (depth, heads) in enumerate(zip(given.depths, given.num_heads, strict=True)):
        short = given.mutual_blocks(depth) if place < len(SCALES) else depth * (place in given.indep_reconsts)
        tokens = (2 if place < len(SCALES) else 1) * rows * columns
        entries += heads * (short * tokens**2 + (depth - short) * (frames * rows * columns) ** 2)
    # Every second block has masks as well, at three of its borders.
    return min(cache_bytes(clip.kind), 5 * entries * clip.itemsize // 2) + 6 * 8 * clip.frames * clip.pixels


def _block_bytes(clip: _Clip, place: int) -> int:
    """What a block makes of a piece of the clip's windows."""
    given, channels = clip.given, clip.given.embed_dims[place]
    scale = SCALES[place] if place < len(SCALES) else 1
    hidden = int(channels * given.mlp_ratio)
    window = math.prod(given.window_size)
    row = given.num_heads[place] * window
    wide = widest_of_block(channels, hidden, row, clip.kind)
    windows = -(-clip.frames * clip.pixels // scale**2 // window)
    tokens = window * clip.together(wide * window * clip.itemsize, windows)
    # Tokens, norm, own and other attention, the other's queries twice; or tokens, norm and three hidden layers.
    return tokens * clip.itemsize * max(10 * channels + (row if clip.kind != "cpu" else 0), 3 * channels + 3 * hidden)


def _alignment_bytes(clip: _Clip, place: int) -> int:
    """What parallel warping makes of some frames."""
    given, channels, count = clip.given, clip.given.embed_dims[place], clip.given.neighbours
    if not count:
        return 0
    pixels, groups = clip.pixels // SCALES[place] ** 2, given.deformable_groups
    guides = (1 + count) * channels + 2 * count
    each = FLOAT_BYTES * max(guides, 3 * channels, 27 * groups) * pixels
    frames = clip.together(each, clip.frames)
    columns = 9 * count * channels * pixels * FLOAT_BYTES * frames
    if clip.kind != "cuda":
        row = columns * clip.width // SCALES[place] // pixels
        columns = min(columns, max(row, row * chunk_length(row, clip.kind)))
    # The fusion's input, the neighbours' planes (twice if there are more), offsets as they come and as they are used.
    half = 4 * channels + 27 * groups
    whole = (1 + (count > 1)) * count * channels + 27 * groups
    sampling = frames * pixels * (half * clip.itemsize + whole * FLOAT_BYTES) + 2 * columns
    guiding = frames * pixels * clip.itemsize * (3 * channels + 2 * guides + (count + 1) * channels)
    fusing = frames * pixels * clip.itemsize * (3 * channels + 3 * 3 * channels)
    return max(sampling, guiding, fusing)


def _head_bytes(clip: _Clip) -> int:
    """Features, pictures, and the widest layers of some frames."""
    given, scale = clip.given, clip.given.upscale
    if not given.pa_frames:
        return 2 * clip.features(0) + 2 * HEAD_CHANNELS * clip.pixels * clip.itemsize
    wide = HEAD_CHANNELS * scale**2 if scale > 1 else given.embed_dims[0]
    frames = clip.together(wide * clip.pixels * clip.itemsize, clip.frames)
    pictures = 3 * scale**2 * clip.frames * clip.pixels * clip.itemsize
    return clip.features(0) + pictures + 2 * wide * clip.pixels * clip.itemsize * frames


def _pieces_bytes(clip: _Clip) -> list[int]:
    """The largest tensor of each kind of piece: that of one item, times as many as are worked on at once."""
    given, body = clip.given, clip.given.embed_dims[: len(SCALES)]
    wide = HEAD_CHANNELS * given.upscale**2 if given.upscale > 1 else given.embed_dims[0]
    window = math.prod(given.window_size)
    items = [
        (wide * clip.pixels * clip.itemsize, clip.frames),
        (3 * max(given.embed_dims) * window * clip.itemsize, -(-clip.frames * clip.pixels // window)),
    ]
    if given.pa_frames:
        guides = max((1 + given.neighbours) * width + 2 * given.neighbours for width in body)
        wide = max(max(guides, 3 * max(body)) * clip.itemsize, 27 * given.deformable_groups * FLOAT_BYTES)
        items.append((wide * clip.pixels, clip.frames))
        # Deformable convolution samples rows, torchvision's whole pictures.
        sampled = 9 * given.neighbours * max(body) * FLOAT_BYTES * clip.width
        rows = (sampled * clip.height, clip.frames) if clip.kind == "cuda" else (sampled, clip.frames * clip.height)
        items.append(rows)
    return [each * clip.together(each, count) for each, count in items]

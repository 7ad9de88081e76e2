"""Chunk sizes of VRT: as much of a clip at a time as keeps the device busy, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

# A CPU is fastest while a chunk stays in its caches; a GPU needs work for all its cores, but its memory is for the
# clip's features.
CPU_CHUNK_BYTES = 4 << 20
GPU_CHUNK_BYTES = 256 << 20
# Limit of the cache of index tables and position biases. Windows of 384 tokens have 3.5 MB per block in float32; a CPU
# makes one that is not in the cache in a hundredth of the block's time.
CPU_CACHE_BYTES = 64 << 20
GPU_CACHE_BYTES = 256 << 20


def chunk_bytes(kind: str) -> int:
    """Limit of the largest temporary tensor on a kind of device ("cpu", "cuda", "xpu")."""
    return CPU_CHUNK_BYTES if kind == "cpu" else GPU_CHUNK_BYTES


def cache_bytes(kind: str) -> int:
    """Limit of the cache on a kind of device."""
    return CPU_CACHE_BYTES if kind == "cpu" else GPU_CACHE_BYTES


def chunk_length(each_bytes: int, kind: str) -> int:
    """Number of items of `each_bytes` in a chunk, at least one."""
    return max(1, chunk_bytes(kind) // max(1, each_bytes))


def chunks(count: int, each_bytes: int, kind: str) -> Iterator[tuple[int, int]]:
    """Half-open ranges that cover `count` items, none longer than `chunk_length`."""
    # Of equal length, but for rounding: a small last chunk would leave a GPU idle.
    number = -(-count // chunk_length(each_bytes, kind))
    return pairwise([index * count // max(1, number) for index in range(number + 1)])


def widest_of_block(channels: int, hidden: int, row: int, kind: str) -> int:
    """Elements per token of the widest tensor of a block: hidden layer, queries with keys and values, or a matrix row.

    Attention on the CPU is always fused; a GPU may make the whole matrix.
    """
    return max(3 * channels, hidden, 0 if kind == "cpu" else row)

"""How much of a clip is worked on at once: enough to keep the device busy, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

# A processor is fastest while a piece stays in its caches; a card wants work for all its cores, and its memory is for
# the clip's features.
PROCESSOR_BYTES = 4 << 20
CARD_BYTES = 256 << 20
# What may be kept from clip to clip: index tables and position biases. Windows of 384 tokens have 3.5 MB a block in
# float32, of which a processor makes those that find no room in a hundredth of the block's time.
PROCESSOR_TABLE_BYTES = 64 << 20
CARD_TABLE_BYTES = 256 << 20


def chunk_bytes(kind: str) -> int:
    """The largest tensor that is made only for a moment, on this kind of device ("cpu", "cuda", "xpu")."""
    return PROCESSOR_BYTES if kind == "cpu" else CARD_BYTES


def cache_bytes(kind: str) -> int:
    """How much may be kept from clip to clip on this kind of device."""
    return PROCESSOR_TABLE_BYTES if kind == "cpu" else CARD_TABLE_BYTES


def chunk_length(each_bytes: int, kind: str) -> int:
    """How many items of this size are worked on at once: at least one."""
    return max(1, chunk_bytes(kind) // max(1, each_bytes))


def chunks(count: int, each_bytes: int, kind: str) -> Iterator[tuple[int, int]]:
    """Half-open ranges that cover `count` items, none longer than `chunk_length`."""
    # Of one length, but for rounding: a small last one would keep a card waiting.
    number = -(-count // chunk_length(each_bytes, kind))
    return pairwise([index * count // max(1, number) for index in range(number + 1)])


def widest_of_block(channels: int, hidden: int, row: int, kind: str) -> int:
    """Elements a token of the widest tensor of a block: its hidden layer, queries, keys and values, or a matrix row.

    The processor's attention is always fused; a card's may make the whole matrix.
    """
    return max(3 * channels, hidden, 0 if kind == "cpu" else row)

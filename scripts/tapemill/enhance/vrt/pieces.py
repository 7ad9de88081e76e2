"""How much of a clip is worked on at once: enough to keep the device busy, and no more.

Only imported with the network: it imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch

# A processor is fastest while a piece stays in its caches; a card wants work for all its cores, and the first
# gibibytes of an A770 are for the clip's features.
PROCESSOR_BYTES = 4 << 20
CARD_BYTES = 256 << 20


def piece_bytes(kind: str) -> int:
    """The largest tensor that is made only for a moment, on this kind of device ("cpu", "cuda", "xpu")."""
    return PROCESSOR_BYTES if kind == "cpu" else CARD_BYTES


def pieces(count: int, each_bytes: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Half-open ranges that cover `count` items, each with at least one item and else within `piece_bytes`."""
    step = max(1, piece_bytes(device.type) // max(1, each_bytes))
    # Pieces of one length: a small last one would keep a card waiting.
    number = -(-count // step)
    bounds = [index * count // number for index in range(number + 1)] if number else [0]
    return pairwise(bounds)

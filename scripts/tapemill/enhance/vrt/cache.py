"""What depends on the size of a clip alone, or on weights alone, is made once and kept, up to a limit.

Only imported with the network: it imports torch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import torch

T = TypeVar("T")


class BoundedCache:
    """Index tables, masks and position biases, by size.

    When the limit is reached, what the present pass has not used goes first, the oldest before; if that is not enough,
    a new table is not kept. So a network whose tables never fit keeps as many of them as do, instead of driving each
    other out in every pass.
    """

    def __init__(self) -> None:
        self._limit_bytes = 0
        self._kept: OrderedDict[Hashable, tuple[object, int, int]] = OrderedDict()
        self._bytes = 0
        self._pass = 0

    @property
    def kept_bytes(self) -> int:
        """What is held at the moment."""
        return self._bytes

    def next_pass(self, limit_bytes: int) -> None:
        """A new clip begins."""
        self._limit_bytes = limit_bytes
        self._pass += 1

    def get(self, key: Hashable, make: Callable[[], T], bytes_of: Callable[[T], int]) -> T:
        """What was kept under the key, or what `make` makes."""
        if key in self._kept:
            value, size, _ = self._kept[key]
            self._kept[key] = (value, size, self._pass)
            self._kept.move_to_end(key)
            return cast(T, value)
        made = make()
        size = bytes_of(made)
        if self._room_for(size):
            self._kept[key] = (made, size, self._pass)
            self._bytes += size
        return made

    def tensor(self, key: Hashable, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """`get` for a tensor."""
        return self.get(key, make, lambda tensor: tensor.nbytes)

    def clear(self) -> None:
        """Let go of everything."""
        self._kept.clear()
        self._bytes = 0

    def _room_for(self, size: int) -> bool:
        if size > self._limit_bytes:
            return False
        while self._bytes + size > self._limit_bytes:
            oldest = next(iter(self._kept))
            _, freed, used = self._kept[oldest]
            if used == self._pass:
                return False
            del self._kept[oldest]
            self._bytes -= freed
        return True

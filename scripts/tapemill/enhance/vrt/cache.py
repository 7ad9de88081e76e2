"""Cache of tensors that depend only on the size of a clip, or only on weights, up to a memory limit.

Only imported with the network: it imports torch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import torch

T = TypeVar("T")


class BoundedCache:
    """Cache of index tables, masks and position biases, limited in bytes.

    At the limit, entries that the current pass has not used are evicted, the oldest first; if that is not enough, a new
    entry is not stored. So a network whose entries do not all fit keeps as many as fit, instead of replacing them all
    in every pass.
    """

    def __init__(self) -> None:
        self._limit_bytes = 0
        self._entries: OrderedDict[Hashable, tuple[object, int, int]] = OrderedDict()
        self._bytes = 0
        self._pass = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes of all entries."""
        return self._bytes

    def next_pass(self, limit_bytes: int) -> None:
        """Begin the pass of a new clip, with a limit."""
        self._limit_bytes = limit_bytes
        self._pass += 1

    def get(self, key: Hashable, make: Callable[[], T], bytes_of: Callable[[T], int]) -> T:
        """Return the entry of a key; if there is none, make it, and store it if it fits."""
        if key in self._entries:
            stored, size, _ = self._entries[key]
            self._entries[key] = (stored, size, self._pass)
            self._entries.move_to_end(key)
            return cast(T, stored)
        value = make()
        size = bytes_of(value)
        if self._evict_for(size):
            self._entries[key] = (value, size, self._pass)
            self._bytes += size
        return value

    def tensor(self, key: Hashable, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """`get` for a tensor."""
        return self.get(key, make, lambda tensor: tensor.nbytes)

    def clear(self) -> None:
        """Drop all entries."""
        self._entries.clear()
        self._bytes = 0

    def _evict_for(self, size: int) -> bool:
        """Evict entries until `size` bytes fit. Returns whether they do."""
        if size > self._limit_bytes:
            return False
        while self._bytes + size > self._limit_bytes:
            oldest = next(iter(self._entries))
            _, freed, used = self._entries[oldest]
            if used == self._pass:
                return False
            del self._entries[oldest]
            self._bytes -= freed
        return True

"""Cache of models that stay in the process from job to job; the least recently used one is dropped first.

A job in a process of its own uses it too and holds one. A process runs one job at a time, so nothing here is
thread-safe.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tapemill.models import ModelFile, verify_model

from .device import Device
from .memory import budget_bytes, empty_cache, used_bytes
from .memory_planner import mebibytes

if TYPE_CHECKING:
    import torch

LOG = logging.getLogger("tapemill.devices")

T = TypeVar("T")


@dataclass(frozen=True)
class _CachedModel:
    model: Any
    need_bytes: int
    device: Device


_cache: OrderedDict[Hashable, _CachedModel] = OrderedDict()


def get_or_load(key: Hashable, need_bytes: int, device: Device, load: Callable[[], T], *, headroom_bytes: int = 0) -> T:
    """Return the cached model of this key, or load and cache it.

    `need_bytes` is the size of its weights, `headroom_bytes` what working with it takes beside them. Other models are
    dropped, least recently used first, before the budget of the device would be exceeded. Errors of `load` pass
    through, and nothing is kept.
    """
    cached = _cache.get((key, device.kind))
    # A cached model is part of the memory in use, so its size counts as well.
    _evict_for((key, device.kind), (cached.need_bytes if cached else need_bytes) + headroom_bytes, device)
    if cached is None:
        cached = _CachedModel(load(), need_bytes, device)
        _cache[key, device.kind] = cached
    _cache.move_to_end((key, device.kind))
    return cast(T, cached.model)


def held_bytes(device: Device) -> int:
    """Return the bytes of all cached models on this device, as stated when they were loaded."""
    return sum(held.need_bytes for held in _cache.values() if held.device.kind == device.kind)


def headroom_bytes(device: Device) -> int:
    """Return the bytes this process may use on the device if all its models were dropped."""
    # Between jobs torch holds nothing on a GPU but models, and counts them more exactly.
    return budget_bytes(device, held_bytes(device) if device.kind == "cpu" else used_bytes(device))


def clear() -> None:
    """Drop every model."""
    kinds = {held.device.kind: held.device for held in _cache.values()}
    _cache.clear()
    for device in kinds.values():
        empty_cache(device)


def _evict_for(key: Hashable, need: int, device: Device) -> None:
    """Drop models, the least recently used first, until the rest and `need` bytes fit."""
    others = [name for name, held in _cache.items() if name != key and held.device.kind == device.kind]
    available, dropped = headroom_bytes(device), False
    for name in others:
        if need + sum(_cache[other].need_bytes for other in others if other in _cache) <= available:
            break
        LOG.info("dropping a model of %s to free memory", mebibytes(_cache[name].need_bytes))
        del _cache[name]
        dropped = True
    if dropped:
        empty_cache(device)


@dataclass
class _Loaded:
    model: Any
    stamp: tuple[int, int] | None
    """Size and time of the file when it was last verified."""


def load_verified(
    program: str,
    file: ModelFile,
    dtype: torch.dtype,
    device: Device,
    load: Callable[[], Any],
    *,
    need_bytes: int,
    headroom_bytes: int = 0,
) -> Any:
    """Return the verified model of a file, loaded by `load` or cached from an earlier job.

    `program` is the library that reads it, `need_bytes` the size of its weights, `headroom_bytes` what working with it
    takes beside them. Raises ModelError if the file is not the pinned one, and what `load` raises.
    """

    def loaded() -> _Loaded:
        stamp = _stamp(file.path)
        verify_model(file.path, file.sha256)
        return _Loaded(load(), stamp)

    held = get_or_load((program, file.sha256, str(dtype)), need_bytes, device, loaded, headroom_bytes=headroom_bytes)
    # Fail as a new process would, if the file was changed or removed since it was loaded.
    if held.stamp != (stamp := _stamp(file.path)):
        verify_model(file.path, file.sha256)
        held.stamp = stamp
    return held.model


def _stamp(path: Path) -> tuple[int, int] | None:
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_size, status.st_mtime_ns

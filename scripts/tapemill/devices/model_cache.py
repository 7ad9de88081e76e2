"""Models that stay in the process from job to job, the least recently used one leaving first.

A job in a process of its own goes the same way and simply holds one. A process runs one job at a time, so nothing here
is guarded against threads.
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
class _Held:
    model: Any
    need_bytes: int
    device: Device


_held: OrderedDict[Hashable, _Held] = OrderedDict()


def get_or_load(key: Hashable, need_bytes: int, device: Device, load: Callable[[], T], *, headroom_bytes: int = 0) -> T:
    """The model of this key: the one that is here, or what `load` returns, which stays.

    `need_bytes` is the size of its weights, `headroom_bytes` what working with it takes beside them. Other models are
    dropped, least recently used first, before the budget of the device would be exceeded. Errors of `load` pass
    through, and nothing is kept.
    """
    have = _held.get((key, device.kind))
    # Both are about memory that is filled: a model that is here already is part of what is held.
    _make_room((key, device.kind), (have.need_bytes if have else need_bytes) + headroom_bytes, device)
    if have is None:
        have = _Held(load(), need_bytes, device)
        _held[key, device.kind] = have
    _held.move_to_end((key, device.kind))
    return cast(T, have.model)


def held_bytes(device: Device) -> int:
    """What the models on this device take, by what they said when they came."""
    return sum(held.need_bytes for held in _held.values() if held.device.kind == device.kind)


def headroom_bytes(device: Device) -> int:
    """What this process may fill on the device if all its models left: what the first step of a ladder may need."""
    # Between jobs torch holds nothing on a card but models, and counts them better.
    return budget_bytes(device, held_bytes(device) if device.kind == "cpu" else used_bytes(device))


def clear() -> None:
    """Let every model go."""
    kinds = {held.device.kind: held.device for held in _held.values()}
    _held.clear()
    for device in kinds.values():
        empty_cache(device)


def _make_room(key: Hashable, need: int, device: Device) -> None:
    """Let models go, the least recently used first, until the rest and `need` bytes fit."""
    others = [name for name, held in _held.items() if name != key and held.device.kind == device.kind]
    room, left = headroom_bytes(device), False
    for name in others:
        if need + sum(_held[other].need_bytes for other in others if other in _held) <= room:
            break
        LOG.info("letting a model of %s go to make room", mebibytes(_held[name].need_bytes))
        del _held[name]
        left = True
    if left:
        empty_cache(device)


@dataclass
class _Loaded:
    model: Any
    stamp: tuple[int, int] | None
    """Size and time of the file when it was last found to be the pinned one."""


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
    """What `load` makes of the file, or made of it for an earlier job of this process.

    `program` is the library that reads it, `need_bytes` the size of its weights, `headroom_bytes` what working with it
    takes beside them. Raises ModelError if the file is not the pinned one, and what `load` raises.
    """

    def loaded() -> _Loaded:
        stamp = _stamp(file.path)
        verify_model(file.path, file.sha256)
        return _Loaded(load(), stamp)

    held = get_or_load((program, file.sha256, str(dtype)), need_bytes, device, loaded, headroom_bytes=headroom_bytes)
    # The same answer as a new process would give, if the file was changed or taken away since it was loaded.
    if held.stamp != (stamp := _stamp(file.path)):
        verify_model(file.path, file.sha256)
        held.stamp = stamp
    return held.model


def _stamp(path: Path) -> tuple[int, int] | None:
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_size, status.st_mtime_ns

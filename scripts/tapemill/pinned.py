"""Models that stay in the process, each from a file that was found to be the pinned one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .device import Device
from .models import ModelFile, verify_model
from .resident import resident

if TYPE_CHECKING:
    import torch


@dataclass
class _Loaded:
    model: Any
    stamp: tuple[int, int] | None
    """Size and time of the file when it was last found to be the pinned one."""


def pinned(
    program: str,
    file: ModelFile,
    dtype: torch.dtype,
    device: Device,
    load: Callable[[], Any],
    *,
    need_bytes: int,
    room_bytes: int = 0,
) -> Any:
    """What `load` makes of the file, or made of it for an earlier job of this process.

    `program` is who reads it, `need_bytes` what its weights take, `room_bytes` what working with it will take beside
    them. Raises ModelError if the file is not the pinned one, and what `load` raises.
    """

    def loaded() -> _Loaded:
        stamp = _stamp(file.path)
        verify_model(file.path, file.sha256)
        return _Loaded(load(), stamp)

    held = resident((program, file.sha256, str(dtype)), need_bytes, device, loaded, room_bytes=room_bytes)
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

"""What a job script hands over to whoever computes it: a function by its name, and its arguments."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import ffmpeg
from ..cardfaults import translated
from ..device import Device


@dataclass(frozen=True)
class Task:
    """One call. Everything in it can be pickled."""

    function: str
    """As module:name."""
    arguments: Mapping[str, Any]
    device: Device
    label: str
    """The job, as people read it."""
    ffmpeg: str | None
    limit_s: float
    """After this time the job hangs."""


def name_of(function: Callable[..., Any]) -> str:
    """The name under which another process finds a function. Raises ValueError for one that is inside another."""
    if "<" in function.__qualname__:
        raise ValueError(f"{function.__qualname__} cannot be found by another process")
    return f"{function.__module__}:{function.__qualname__}"


def perform(task: Task) -> Any:
    """Call the function of the task here and now. Raises what it raises; of the card, OutOfMemory and DeviceError."""
    module, _, name = task.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    ffmpeg.use(task.ffmpeg)
    with translated(task.device):
        return function(**task.arguments, device=task.device)

"""VRT, the video restoration transformer of Liang et al. 2022 (arXiv 2201.12288): our own implementation.

It reads the official checkpoints unchanged. Importing this package does not import torch; asking it for `VRT` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checkpoints import TASKS, Family, Task, task_of, weights_of
from .config import Arguments
from .memory import Footprint, activation_bytes

if TYPE_CHECKING:
    from .model import VRT

__all__ = ["TASKS", "VRT", "Arguments", "Family", "Footprint", "Task", "activation_bytes", "task_of", "weights_of"]


def __getattr__(name: str) -> Any:
    if name == "VRT":
        from .model import VRT

        return VRT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""VRT, the video restoration transformer of Liang et al. 2022 (arXiv 2201.12288): our own implementation.

It reads the official checkpoints unchanged. Importing this package does not import torch; asking it for `VRT` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checkpoints import CHECKPOINTS, Checkpoint, CheckpointFamily, identify_checkpoint, state_dict_of
from .config import VrtConfig
from .memory import MemoryModel, activation_bytes

if TYPE_CHECKING:
    from .model import VRT

__all__ = [
    "CHECKPOINTS",
    "VRT",
    "Checkpoint",
    "CheckpointFamily",
    "MemoryModel",
    "VrtConfig",
    "activation_bytes",
    "identify_checkpoint",
    "state_dict_of",
]


def __getattr__(name: str) -> Any:
    if name == "VRT":
        from .model import VRT

        return VRT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

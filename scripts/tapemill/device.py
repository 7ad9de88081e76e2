"""One face for the kinds of card torch runs on: CPU, Intel (xpu), NVIDIA (cuda), AMD (hip).

Nothing here imports torch before a function needs it, so that the lane can choose the card first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["cpu", "xpu", "cuda", "hip"]
KINDS: tuple[Kind, ...] = ("cpu", "xpu", "cuda", "hip")


@dataclass(frozen=True)
class Device:
    """What a job computes on. After masking a process sees one card, so it needs no number."""

    kind: Kind
    memory_share: float = 1.0
    """Share of the card's memory that the job may use."""
    steps_down: int = 0
    """How many steps below what was asked for to begin with: earlier attempts of the job ran out of memory."""
    pci_address: str = ""
    """Where the card sits, such as 0000:03:00.0; empty if unknown. For libraries that no mask reaches (Quick Sync)."""


CPU = Device("cpu")

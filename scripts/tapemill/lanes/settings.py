"""Section `lanes` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LanesSettings:
    """How jobs use a card."""

    device: Literal["auto", "cpu", "xpu", "cuda", "hip"]
    """Kind of card for jobs to which no scheduler gave a lane."""
    warm: bool
    """Whether a worker stays at each lane from job to job."""
    idle_s: float
    """After so long without work a worker leaves its card."""
    memory_share: float
    """Share of a card's memory that one worker may use."""
    nice: int
    enhance_lanes: int | None
    """How many lanes may enhance at the same time; None for all. Held by the scheduler."""
    limit_factor: float
    """A job that takes so many times longer than expected hangs."""
    limit_least_s: float
    """No job is stopped before this time."""

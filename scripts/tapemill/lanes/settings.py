"""Section `lanes` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LanesSettings:
    """Use of GPUs by jobs."""

    device: Literal["auto", "cpu", "xpu", "cuda", "hip"]
    """Kind of device for jobs without a lane from the scheduler."""
    warm: bool
    """Whether a worker stays at each lane from job to job."""
    idle_s: float
    """A worker without work exits after this time."""
    memory_share: float
    """Share of a GPU's memory that one worker may use."""
    nice: int
    enhance_lanes: int | None
    """How many lanes may enhance at the same time; None for all. Enforced by the scheduler."""
    limit_factor: float
    """A job that takes this many times longer than expected is considered hung."""
    limit_min_s: float
    """No job is stopped before this time."""

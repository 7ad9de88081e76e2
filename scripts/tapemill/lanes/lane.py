"""Lane of a job, from the resources that the scheduler added to it.

The scheduler `lanes` adds resources to a job: `gpu1=1` (its lane), `lane_device=xpu` and `lane_warm=1`. Other
schedulers add nothing: then a cluster has allocated a GPU, or the job looks for a free one itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tapemill.core.errors import LaneError
from tapemill.devices import visibility
from tapemill.devices.device import KINDS, Kind
from tapemill.process.runtime_dirs import allocation

from .settings import LanesSettings

LANE = re.compile(r"gpu(\d+)")


@dataclass(frozen=True)
class Lane:
    """One GPU, or for kind `cpu` a slot that behaves like one."""

    kind: Kind
    number: int | None
    """Index of the GPU in PCI order. None: any free one, or the one that a mask set by others names."""
    warm: bool
    """Whether a worker stays from job to job."""
    exclusive: bool = True
    """Whether only one job of all runs of the user may use it at a time. False for a CPU without lanes."""

    @property
    def name(self) -> str:
        """Name in logs and file names, such as xpu1."""
        return self.kind if self.number is None else f"{self.kind}{self.number}"

    def numbered(self, number: int) -> Lane:
        """Return this lane with the number of one GPU."""
        return replace(self, number=number)


def lane_of(resources: Mapping[str, Any], settings: LanesSettings, environ: Mapping[str, str]) -> Lane | None:
    """Return the lane of a job by its resources; None for a job that needs no GPU.

    Raises LaneError if it has several lanes, or one of an unknown kind.
    """
    if not resources.get("gpu"):
        return None
    numbers = [int(match[1]) for name, value in resources.items() if (match := LANE.fullmatch(name)) and value]
    if not numbers:
        return _without_scheduler(settings, environ)
    if len(numbers) > 1:
        raise LaneError(
            f"the job was given {len(numbers)} lanes: {', '.join(f'gpu{number}' for number in numbers)}",
            remedy="rules ask for gpu=1 and name no lane themselves; the scheduler `lanes` hands them out",
        )
    kind = resources.get("lane_device", "cpu")
    if kind not in KINDS:
        raise LaneError(
            f"{kind!r} is not a kind of GPU",
            remedy=f"set scheduler-lanes-device in the profile to one of {', '.join(KINDS)}",
        )
    return Lane(kind, numbers[0], warm=settings.warm and bool(resources.get("lane_warm", 1)))


def _without_scheduler(settings: LanesSettings, environ: Mapping[str, str]) -> Lane:
    kind = visibility.kind_of_environment(environ) if settings.device == "auto" else settings.device
    number = visibility.numbers_from_cluster(kind, environ) if allocation(environ) else None
    if number is not None:
        # All jobs of the submission get this lane, so that they share one worker.
        return Lane(kind, number, warm=settings.warm)
    return Lane(kind, None, warm=settings.warm, exclusive=kind != "cpu")

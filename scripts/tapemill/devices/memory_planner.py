"""Memory planner: selects the first candidate configuration that fits into the free memory, before loading anything.

The first candidate is what was asked for; each further one needs less. Nothing is downgraded silently: each rejection
is logged and returned for the record.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

from tapemill.core.errors import OutOfMemory
from tapemill.records.common import Rejection
from tapemill.storage import atomic

from .device import Device
from .memory import budget_bytes, memory_cap

LOG = logging.getLogger("tapemill.devices")

T = TypeVar("T")

# One tensor on an Arc A770 must be smaller: github.com/intel/intel-extension-for-pytorch/issues/846.
LARGEST_XPU_TENSOR_BYTES: Final = 4 << 30
# A measured peak is that of one scene; others need slightly more or less.
MEASURED_MARGIN: Final = 1.15
# A new measurement is saved if it is this much larger than the known one, so that few jobs write at all.
MIN_GROWTH: Final = 1.05


@dataclass(frozen=True)
class Candidate(Generic[T]):
    """One configuration for the work."""

    name: str
    """Name in logs: "medium, beam of 5"."""
    value: T
    need_bytes: int
    """Weights and activations together."""
    largest_tensor_bytes: int = 0


@dataclass(frozen=True)
class MemoryPlan(Generic[T]):
    """The selected candidate, and the rejected ones before it."""

    candidate: Candidate[T]
    rejections: tuple[Rejection, ...] = ()


def first_that_fits(candidates: Sequence[Candidate[T]], device: Device, budget: int | None = None) -> MemoryPlan[T]:
    """Select the first candidate that fits, starting at index `device.degrade_level`; log all rejections.

    `budget` is the memory in bytes that the work may use, by default what is left on the device for this process. If
    not even the last candidate fits it is tried nevertheless, as the memory may be occupied only temporarily. Raises
    OutOfMemory if it can never fit: it needs more than the process's share of the device, or a larger tensor than the
    GPU can hold.
    """
    available = budget_bytes(device) if budget is None else budget
    first = min(device.degrade_level, len(candidates) - 1)
    rejections = [
        _reject(candidate, available, "an earlier attempt ran out of memory") for candidate in candidates[:first]
    ]
    for candidate in candidates[first:]:
        reason = _obstacle(candidate, device, available)
        if reason is None:
            return _select(candidate, available, rejections)
        if candidate is not candidates[-1]:
            rejections.append(_reject(candidate, available, reason))
    return _last_resort(candidates[-1], device, available, rejections)


def _obstacle(candidate: Candidate[T], device: Device, available: int) -> str | None:
    if device.kind == "xpu" and candidate.largest_tensor_bytes >= LARGEST_XPU_TENSOR_BYTES:
        largest = mebibytes(candidate.largest_tensor_bytes)
        return f"it has a tensor of {largest}, and the GPU holds less than 4096 MiB in one"
    return None if candidate.need_bytes <= available else "too little memory"


def _last_resort(candidate: Candidate[T], device: Device, available: int, rejections: list[Rejection]) -> MemoryPlan[T]:
    """Select the last candidate although it does not fit now, unless it never will."""
    never = _obstacle(candidate, device, memory_cap(device))
    if never is not None:
        raise OutOfMemory(
            f"nothing smaller is left: {candidate.name} needs {mebibytes(candidate.need_bytes)}, the device gives "
            f"{mebibytes(memory_cap(device))} ({never})",
            remedy="raise `lanes: memory_share` if it is below 1, choose a smaller model or smaller tiles in the "
            "config, or run on a device with more memory",
        )
    LOG.warning(
        "%s needs %s and %s are free just now; it is the last step and tried all the same",
        *(candidate.name, mebibytes(candidate.need_bytes), mebibytes(available)),
    )
    return MemoryPlan(candidate, tuple(rejections))


def _select(candidate: Candidate[T], available: int, rejections: list[Rejection]) -> MemoryPlan[T]:
    level = logging.WARNING if rejections else logging.INFO
    LOG.log(
        level, "taking %s: it needs %s of %s", candidate.name, mebibytes(candidate.need_bytes), mebibytes(available)
    )
    return MemoryPlan(candidate, tuple(rejections))


def _reject(candidate: Candidate[T], available: int, reason: str) -> Rejection:
    LOG.warning(
        "not %s: it needs %s, there are %s: %s",
        candidate.name,
        mebibytes(candidate.need_bytes),
        mebibytes(available),
        reason,
    )
    return Rejection(candidate.name, candidate.need_bytes, available, reason)


def mebibytes(count: int) -> str:
    """Format bytes as MiB, for messages."""
    return f"{count / (1 << 20):.0f} MiB"


def state_folder() -> Path:
    """Return the user's folder for state that is no result: measurements (XDG Base Directory Specification)."""
    # By the specification relative paths are ignored.
    configured = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".local" / "state") / "tapemill"


@dataclass(frozen=True)
class ActivationCache:
    """Memory of each model's activations, measured in earlier jobs. A damaged or lost file does no harm."""

    file: Path = field(default_factory=lambda: state_folder() / "activations.json")

    @staticmethod
    def key(sha256: str, device: Device, dtype: str, *extra: object) -> str:
        """Return the key of a measurement: model, kind of device, number format and other relevant parameters."""
        return " ".join(str(part) for part in (sha256, device.kind, dtype, *extra))

    def bytes_of(self, key: str) -> int | None:
        """Return the expected bytes, margin included; None if never measured."""
        known = self._read().get(key)
        return None if known is None else round(known * MEASURED_MARGIN)

    def add(self, key: str, peak_bytes: int) -> None:
        """Save a measurement if it is the first or clearly the largest. Errors of writing are only logged."""
        if peak_bytes <= self._read().get(key, 0) * MIN_GROWTH:
            return
        try:
            with self._exclusive():
                known = self._read()
                atomic.write_json(self.file, {**known, key: max(peak_bytes, known.get(key, 0))})
        except OSError as error:
            LOG.info("the measured memory is not written down: %s", error)

    def _read(self) -> Mapping[str, int]:
        try:
            values = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(values, dict):
            return {}
        return {key: value for key, value in values.items() if type(value) is int and value > 0}

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Lock out other writers. The kernel releases the lock if the process dies."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

"""Fitting work into the memory there is: before anything is loaded, the first step of a ladder that fits is chosen.

A ladder begins with what was asked for; each further step needs less. Nothing is lowered silently: each decision is
logged and handed back for the record.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from tapemill.core.errors import OutOfMemory
from tapemill.storage import atomic

from .device import Device
from .memory import budget_bytes, memory_cap

LOG = logging.getLogger("tapemill.devices")

T = TypeVar("T")

# One tensor on an Arc A770 must be smaller: github.com/intel/intel-extension-for-pytorch/issues/846.
LARGEST_XPU_TENSOR_BYTES: Final = 4 << 30
# A measured peak is that of one scene; others need a little more or less.
MEASURED_MARGIN: Final = 1.15
# A new measurement is written down if it is so many times larger than the known one, so that few jobs write at all.
WORTH_WRITING: Final = 1.05


@dataclass(frozen=True)
class Candidate(Generic[T]):
    """One way to do the work."""

    name: str
    """As it is logged: "medium, beam of 5"."""
    value: T
    need_bytes: int
    """Weights and activations together."""
    largest_tensor_bytes: int = 0


@dataclass(frozen=True)
class Rejection:
    """A step that was not taken, and why."""

    step: str
    need_bytes: int
    budget_bytes: int
    reason: str

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class MemoryPlan(Generic[T]):
    """The step taken, and those above it that were not."""

    step: Candidate[T]
    decisions: tuple[Rejection, ...] = ()


def first_that_fits(ladder: Sequence[Candidate[T]], device: Device, budget: int | None = None) -> MemoryPlan[T]:
    """The first step that fits, beginning `device.degrade_level` steps below the first; all decisions are logged.

    `budget` is what the work may take, by default what the device has left for this process. If not even the last step
    fits it is tried all the same, as somebody else may hold the memory only for now. Raises OutOfMemory if it never
    could: because it needs more than the whole share of the device, or a larger tensor than the card can hold.
    """
    room = budget_bytes(device) if budget is None else budget
    first = min(device.degrade_level, len(ladder) - 1)
    decisions = [_passed(step, room, "an earlier attempt ran out of memory") for step in ladder[:first]]
    for step in ladder[first:]:
        reason = _obstacle(step, device, room)
        if reason is None:
            return _taken(step, room, decisions)
        if step is not ladder[-1]:
            decisions.append(_passed(step, room, reason))
    return _last(ladder[-1], device, room, decisions)


def _obstacle(step: Candidate[T], device: Device, room: int) -> str | None:
    if device.kind == "xpu" and step.largest_tensor_bytes >= LARGEST_XPU_TENSOR_BYTES:
        return (
            f"it has a tensor of {mebibytes(step.largest_tensor_bytes)}, and the card holds less than 4096 MiB in one"
        )
    return None if step.need_bytes <= room else "too little memory"


def _last(step: Candidate[T], device: Device, room: int, decisions: list[Rejection]) -> MemoryPlan[T]:
    """The last step, though it does not fit now, unless it never will."""
    never = _obstacle(step, device, memory_cap(device))
    if never is not None:
        raise OutOfMemory(
            f"nothing smaller is left: {step.name} needs {mebibytes(step.need_bytes)}, the device gives "
            f"{mebibytes(memory_cap(device))} ({never})",
            remedy="raise `lanes: memory_share` if it is below 1, choose a smaller model or smaller tiles in the "
            "config, or run on a device with more memory",
        )
    LOG.warning(
        "%s needs %s and %s are free just now; it is the last step and tried all the same",
        *(step.name, mebibytes(step.need_bytes), mebibytes(room)),
    )
    return MemoryPlan(step, tuple(decisions))


def _taken(step: Candidate[T], room: int, decisions: list[Rejection]) -> MemoryPlan[T]:
    level = logging.WARNING if decisions else logging.INFO
    LOG.log(level, "taking %s: it needs %s of %s", step.name, mebibytes(step.need_bytes), mebibytes(room))
    return MemoryPlan(step, tuple(decisions))


def _passed(step: Candidate[T], room: int, reason: str) -> Rejection:
    LOG.warning("not %s: it needs %s, there are %s: %s", step.name, mebibytes(step.need_bytes), mebibytes(room), reason)
    return Rejection(step.name, step.need_bytes, room, reason)


def mebibytes(count: int) -> str:
    """For people."""
    return f"{count / (1 << 20):.0f} MiB"


def state_folder() -> Path:
    """Where Tapemill keeps for the user what is no result: measurements. By the XDG base directory specification."""
    # The specification has relative paths ignored.
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".local" / "state") / "tapemill"


@dataclass(frozen=True)
class ActivationCache:
    """How much the activations of each model took, measured in earlier jobs. A damaged or lost file is no loss."""

    file: Path = field(default_factory=lambda: state_folder() / "activations.json")

    @staticmethod
    def key(sha256: str, device: Device, dtype: str, *extra: object) -> str:
        """What a measurement holds for: a model, a kind of device, a number format and what else makes a difference."""
        return " ".join(str(part) for part in (sha256, device.kind, dtype, *extra))

    def bytes_of(self, key: str) -> int | None:
        """What to count on, margin included; None if it was never measured."""
        known = self._read().get(key)
        return None if known is None else round(known * MEASURED_MARGIN)

    def add(self, key: str, peak_bytes: int) -> None:
        """Write a measurement down if it is the first or clearly the largest. Where that is impossible, it is not."""
        if peak_bytes <= self._read().get(key, 0) * WORTH_WRITING:
            return
        try:
            with self._alone():
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
    def _alone(self) -> Iterator[None]:
        """Hold off other writers. The kernel lets go if the process dies."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

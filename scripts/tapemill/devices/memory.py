"""What the memory of a device holds, and how much of it this process may fill."""

from __future__ import annotations

import gc
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from tapemill.core.errors import DeviceError

from .device import Device, backend

LOG = logging.getLogger("tapemill.devices")

MEMINFO = Path("/proc/meminfo")
STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
# Writing this number to clear_refs sets the peak of the resident set to what is resident now; see proc(5).
RESET_PEAK = "5"

_highest_bytes = 0  # of what `reset_peak` made forgotten


@dataclass(frozen=True)
class MemoryInfo:
    """Memory of a device, in bytes."""

    total_bytes: int
    free_bytes: int
    """What nobody has taken, and what this process has reserved but does not use."""


def memory_info(device: Device) -> MemoryInfo:
    """How much memory the device has, and how much of it is free. Raises DeviceError if the card does not answer."""
    if device.kind == "cpu":
        return MemoryInfo(_kibibytes(MEMINFO, "MemTotal"), _kibibytes(MEMINFO, "MemAvailable"))
    module = backend(device)
    try:
        total = int(module.get_device_properties().total_memory)
        reserved, used = int(module.memory_reserved()), int(module.memory_allocated())
    except RuntimeError as error:
        raise DeviceError(
            f"the card does not say how much memory it has: {error}",
            tool="torch",
            remedy="try again; if it stays so, run `python -m tapemill doctor` and restart the computer",
        ) from error
    return MemoryInfo(total, min(_unreserved(device, total, reserved) + reserved - used, total))


def _unreserved(device: Device, total: int, reserved: int) -> int:
    """Bytes that no process has taken, as the driver says; where it cannot be believed, what this one has not taken."""
    rest = max(total - reserved, 0)
    try:
        free, _ = backend(device).mem_get_info()
    except RuntimeError as error:
        # Intel's driver without sysman: "doesn't support querying the available free memory"
        # (github.com/pytorch/pytorch/issues/194576).
        LOG.info("the driver does not say what is free (%s): counting what this process has taken", error)
        return rest
    if device.kind != "xpu":
        return int(free)
    # Some of Intel's drivers say 0, or the same figure whatever is taken (github.com/vllm-project/vllm/pull/49273,
    # github.com/pytorch/pytorch/issues/161381).
    return min(int(free), rest) if free > 0 else rest


def budget_bytes(device: Device, given_up_bytes: int = 0) -> int:
    """How much this process may take beside what it holds: no more than is free, and no more than its share.

    `given_up_bytes` of what it holds count as free: what it would give up for the new.
    """
    now = memory_info(device)
    # On the CPU torch does not count what it has in use, and what is resident holds the programs too.
    kept = 0 if device.kind == "cpu" else max(used_bytes(device) - given_up_bytes, 0)
    return max(min(now.free_bytes + given_up_bytes, memory_cap(device) - kept), 0)


def memory_cap(device: Device) -> int:
    """The most that the process may ever fill: its share of the device."""
    return int(memory_info(device).total_bytes * device.memory_share)


def used_bytes(device: Device) -> int:
    """What this process has in use: torch's tensors on a card; on the CPU all that is resident."""
    return _kibibytes(STATUS, "VmRSS") if device.kind == "cpu" else int(backend(device).memory_allocated())


def peak_bytes(device: Device) -> int:
    """The most that was in use since `reset_peak`. On the CPU of the whole process, not of torch alone."""
    return _kibibytes(STATUS, "VmHWM") if device.kind == "cpu" else int(backend(device).max_memory_allocated())


def start_peak_watch(device: Device) -> None:
    """Let `watched_peak_bytes` count from now on. One watch at a time, as a process runs one job at a time."""
    global _highest_bytes  # noqa: PLW0603  the card's own counter is one for the whole process as well
    reset_peak(device)
    _highest_bytes = 0


def watched_peak_bytes(device: Device) -> int:
    """The most that was in use since `start_peak_watch`, whoever reset the peak meanwhile."""
    return max(_highest_bytes, peak_bytes(device))


def reset_peak(device: Device) -> None:
    """Let `peak_bytes` count from now on. Where the kernel refuses, on the CPU, it goes on counting."""
    global _highest_bytes  # noqa: PLW0603
    _highest_bytes = max(_highest_bytes, peak_bytes(device))
    if device.kind != "cpu":
        backend(device).reset_peak_memory_stats()
        return
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
    except OSError as error:
        LOG.info("the peak of the memory counts from the start of the process: %s", error)


def empty_cache(device: Device) -> None:
    """Give memory that nothing refers to any more back to the device."""
    gc.collect()
    if device.kind != "cpu":
        backend(device).empty_cache()


def synchronize(device: Device) -> None:
    """Wait until the card has done all it was asked to, so that its errors come up here and not in a later job."""
    if device.kind != "cpu":
        backend(device).synchronize()


def _kibibytes(path: Path, key: str) -> int:
    """A value of /proc, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", path.read_text(), re.MULTILINE)
    if found is None:
        raise DeviceError(
            f"the kernel does not say {key}",
            file=path,
            remedy="see whether /proc is mounted; in a container it may be hidden",
        )
    return int(found[1]) * 1024

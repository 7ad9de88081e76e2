"""Memory of a device: total, free, used, and the share that this process may use."""

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
# Writing this number to clear_refs resets the peak of the resident set to the current size; see proc(5).
RESET_PEAK = "5"

_highest_bytes = 0  # highest peak before the last `reset_peak`


@dataclass(frozen=True)
class MemoryInfo:
    """Total and free memory of a device, in bytes."""

    total_bytes: int
    free_bytes: int
    """Memory not used by any process, and memory that this process has reserved but does not use."""


def memory_info(device: Device) -> MemoryInfo:
    """Query the total and free memory of a device. Raises DeviceError if the GPU does not answer."""
    if device.kind == "cpu":
        return MemoryInfo(_kibibytes(MEMINFO, "MemTotal"), _kibibytes(MEMINFO, "MemAvailable"))
    module = backend(device)
    try:
        total = int(module.get_device_properties().total_memory)
        reserved, used = int(module.memory_reserved()), int(module.memory_allocated())
    except RuntimeError as error:
        raise DeviceError(
            f"the GPU does not report its memory: {error}",
            tool="torch",
            remedy="try again; if it stays so, run `python -m tapemill doctor` and restart the computer",
        ) from error
    return MemoryInfo(total, min(_unreserved(device, total, reserved) + reserved - used, total))


def _unreserved(device: Device, total: int, reserved: int) -> int:
    """Return the driver's free bytes; where they are not reliable, the bytes that this process has not reserved."""
    unreserved = max(total - reserved, 0)
    try:
        free, _ = backend(device).mem_get_info()
    except RuntimeError as error:
        # Intel's driver without sysman: "doesn't support querying the available free memory"
        # (github.com/pytorch/pytorch/issues/194576).
        LOG.info("the driver does not report free memory (%s): counting what this process has allocated", error)
        return unreserved
    if device.kind != "xpu":
        return int(free)
    # Some of Intel's drivers report 0, or always the same figure (github.com/vllm-project/vllm/pull/49273,
    # github.com/pytorch/pytorch/issues/161381).
    return min(int(free), unreserved) if free > 0 else unreserved


def budget_bytes(device: Device, freed_bytes: int = 0) -> int:
    """Return the bytes this process may allocate in addition: limited by free memory and by its share.

    `freed_bytes` of its current memory count as free: it would release them first.
    """
    now = memory_info(device)
    # On the CPU torch does not count its memory, and the resident set includes the programs.
    used = 0 if device.kind == "cpu" else max(used_bytes(device) - freed_bytes, 0)
    return max(min(now.free_bytes + freed_bytes, memory_cap(device) - used), 0)


def memory_cap(device: Device) -> int:
    """Return the bytes this process may use at most: its share of the device."""
    return int(memory_info(device).total_bytes * device.memory_share)


def used_bytes(device: Device) -> int:
    """Return the bytes this process uses: torch's tensors on a GPU; the resident set on the CPU."""
    return _kibibytes(STATUS, "VmRSS") if device.kind == "cpu" else int(backend(device).memory_allocated())


def peak_bytes(device: Device) -> int:
    """Return the peak of `used_bytes` since `reset_peak`."""
    return _kibibytes(STATUS, "VmHWM") if device.kind == "cpu" else int(backend(device).max_memory_allocated())


def start_peak_watch(device: Device) -> None:
    """Start measuring `watched_peak_bytes`. One watch at a time, as a process runs one job at a time."""
    global _highest_bytes  # noqa: PLW0603  the counter of a GPU is global to the process as well
    reset_peak(device)
    _highest_bytes = 0


def watched_peak_bytes(device: Device) -> int:
    """Return the peak since `start_peak_watch`, even if the peak was reset meanwhile."""
    return max(_highest_bytes, peak_bytes(device))


def reset_peak(device: Device) -> None:
    """Restart `peak_bytes` at the current use. On the CPU the kernel may refuse; then it continues."""
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
    """Release unreferenced memory to the device."""
    gc.collect()
    if device.kind != "cpu":
        backend(device).empty_cache()


def synchronize(device: Device) -> None:
    """Wait until the GPU has finished all work, so that its errors are raised here and not in a later job."""
    if device.kind != "cpu":
        backend(device).synchronize()


def _kibibytes(path: Path, key: str) -> int:
    """Read a value of /proc, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", path.read_text(), re.MULTILINE)
    if found is None:
        raise DeviceError(
            f"the kernel does not report {key}",
            file=path,
            remedy="see whether /proc is mounted; in a container it may be hidden",
        )
    return int(found[1]) * 1024

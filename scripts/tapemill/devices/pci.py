"""GPUs in sysfs: PCI addresses, and the device file for libraries that ignore masks."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

SYS = Path("/sys")
DEV = Path("/dev")

INTEL = "0x8086"
INTEL_DRIVERS = frozenset({"i915", "xe"})
AMD = "0x1002"
AMD_DRIVERS = frozenset({"amdgpu"})
# Device file of the driver that ROCm computes with, beside the device file of each GPU.
AMD_COMPUTE_NODE = "kfd"


def intel_gpus() -> list[str]:
    """List the PCI addresses of Intel GPUs, integrated ones included, in the order of the driver's numbers.

    That is by domain, bus, device and function if ZE_ENABLE_PCI_ID_DEVICE_ORDER=1 (`sortNeoDevices` in Intel's
    compute-runtime), and the addresses have fixed widths.
    """
    return _gpus(INTEL, INTEL_DRIVERS)


def amd_gpus() -> list[str]:
    """List the PCI addresses of AMD GPUs, integrated ones included."""
    return _gpus(AMD, AMD_DRIVERS)


def _gpus(vendor: str, drivers: Collection[str]) -> list[str]:
    devices = (SYS / "bus" / "pci" / "devices").glob("*")
    return sorted(path.name for path in devices if _is_gpu(path, vendor, drivers))


def render_node(address: str) -> Path:
    """Return the device file of the GPU at a PCI address; if there is none, the name it would have."""
    stable = DEV / "dri" / "by-path" / f"pci-{address}-render"
    if stable.exists():
        return stable
    # Containers often have the nodes without udev's links.
    for node in (SYS / "bus" / "pci" / "devices" / address / "drm").glob("renderD*"):
        return DEV / "dri" / node.name
    return stable


def _is_gpu(device: Path, vendor: str, drivers: Collection[str]) -> bool:
    try:
        found = (device / "vendor").read_text(encoding="ascii").strip()
    except OSError:
        return False
    driver = (device / "driver").resolve().name
    return found == vendor and driver in drivers and any((device / "drm").glob("renderD*"))

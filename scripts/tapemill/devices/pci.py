"""GPUs in sysfs: PCI addresses, and the device file for libraries that ignore masks."""

from __future__ import annotations

from pathlib import Path

SYS = Path("/sys")
DEV = Path("/dev")

INTEL = "0x8086"
INTEL_DRIVERS = frozenset({"i915", "xe"})


def intel_gpus() -> list[str]:
    """List the PCI addresses of Intel GPUs, integrated ones included, in the order of the driver's numbers.

    That is by domain, bus, device and function if ZE_ENABLE_PCI_ID_DEVICE_ORDER=1 (`sortNeoDevices` in Intel's
    compute-runtime), and the addresses have fixed widths.
    """
    return sorted(path.name for path in (SYS / "bus" / "pci" / "devices").glob("*") if _is_intel_gpu(path))


def render_node(address: str) -> Path:
    """Return the device file of the GPU at a PCI address; if there is none, the name it would have."""
    stable = DEV / "dri" / "by-path" / f"pci-{address}-render"
    if stable.exists():
        return stable
    # Containers often have the nodes without udev's links.
    for node in (SYS / "bus" / "pci" / "devices" / address / "drm").glob("renderD*"):
        return DEV / "dri" / node.name
    return stable


def _is_intel_gpu(device: Path) -> bool:
    try:
        vendor = (device / "vendor").read_text(encoding="ascii").strip()
    except OSError:
        return False
    driver = (device / "driver").resolve().name
    return vendor == INTEL and driver in INTEL_DRIVERS and any((device / "drm").glob("renderD*"))

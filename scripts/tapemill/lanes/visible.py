"""The cards that torch sees in this process, as its driver describes them.

`main` prints them as JSON: that is how a process that must not import torch yet has another one look.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..device import Kind

KERNEL_MODULES = {"cuda": "nvidia", "hip": "amdgpu"}


@dataclass(frozen=True)
class Visible:
    """A card in the eyes of torch."""

    name: str
    uuid: str
    """As `uuid_text` writes it; empty if the driver tells none."""
    pci_address: str
    """Such as 0000:03:00.0; empty if torch does not tell, as for Intel's."""
    total_bytes: int
    driver: str
    integrated: bool


def visible(kind: Kind) -> list[Visible]:
    """The cards of a kind that this process may use. Imports torch: the mask has to be set before."""
    import torch

    module: Any = torch.xpu if kind == "xpu" else torch.cuda
    return [_described(kind, module.get_device_properties(index)) for index in range(module.device_count())]


def uuid_text(value: object) -> str:
    """A UUID in one spelling, whatever torch and tools make of it: bytes, numbers, with or without dashes or GPU-."""
    raw = getattr(value, "bytes", value)
    if isinstance(raw, (bytes, bytearray, Sequence)) and not isinstance(raw, str):
        digits = bytes(int(byte) & 0xFF for byte in raw).hex()
    else:
        digits = re.sub(r"[^0-9a-f]", "", str(raw).lower())
    return "-".join(filter(None, (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


def _described(kind: Kind, properties: Any) -> Visible:
    return Visible(
        name=str(properties.name),
        uuid=uuid_text(getattr(properties, "uuid", "")),
        pci_address=_pci_address(properties),
        total_bytes=int(properties.total_memory),
        driver=str(getattr(properties, "driver_version", "")) or _kernel_driver(kind),
        integrated=bool(getattr(properties, "is_integrated_gpu", getattr(properties, "is_integrated", False))),
    )


def _pci_address(properties: Any) -> str:
    # Of torch 2.13's properties those of CUDA and HIP have these, those of XPU do not.
    if not hasattr(properties, "pci_bus_id"):
        return ""
    return f"{properties.pci_domain_id:04x}:{properties.pci_bus_id:02x}:{properties.pci_device_id:02x}.0"


def _kernel_driver(kind: Kind) -> str:
    """Version of the kernel's module, where torch does not tell the driver's; empty if the kernel does not either."""
    try:
        path = Path("/sys/module", KERNEL_MODULES[kind], "version")
        return path.read_text(encoding="ascii").strip()
    except (KeyError, OSError):
        return ""


def main() -> None:
    """One line of JSON: drivers may have printed lines of their own before."""
    (kind,) = sys.argv[1:]
    sys.stdout.write("\n" + json.dumps([asdict(card) for card in visible(kind)]) + "\n")  # type: ignore[arg-type]

"""A torch with cards that are not there: what a driver would report, and how it heeds masks.

It stands for driver and torch together, the lowest level at which a card can be told. Everything above is real: the
processes, the masks in their environment, the record.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TORCH = '''
import json
import os
from pathlib import Path
from types import SimpleNamespace

import torch.version

STATE = json.loads((Path(__file__).parent / "state.json").read_text())


def _left(cards, value):
    """Cards that a mask leaves, in its order; names that are no number end it."""
    if value is None:
        return cards
    left = []
    for name in value.split(","):
        if not name.strip().isdecimal() or int(name) >= len(cards):
            break
        left.append(cards[int(name)])
    return left


def _visible():
    if STATE["says"]:
        raise SystemExit(STATE["says"])
    cards, environ = STATE["cards"], os.environ
    in_order = {"xpu": ("ZE_ENABLE_PCI_ID_DEVICE_ORDER", "1"), "cuda": ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")}
    name, value = in_order.get(STATE["kind"], ("", None))
    if environ.get(name) != value:
        cards = cards[::-1]
    if STATE["kind"] == "xpu":
        cards = _left(cards, environ.get("ZE_AFFINITY_MASK"))
        # torch shows integrated graphics only where there is nothing better.
        return [card for card in cards if not card["is_integrated_gpu"]] or cards
    if STATE["kind"] == "cuda":
        return _left(cards, environ.get("CUDA_VISIBLE_DEVICES"))
    cards = _left(cards, environ.get("ROCR_VISIBLE_DEVICES"))
    return _left(cards, environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES")))


# A driver looks at the masks when it is loaded, and never again.
_cards = _visible()
_device = SimpleNamespace(
    device_count=lambda: len(_cards),
    get_device_properties=lambda index: SimpleNamespace(**_cards[index]),
    max_memory_allocated=lambda: 0,
    reset_peak_memory_stats=lambda: None,
)
_nothing = SimpleNamespace(device_count=lambda: 0)
device = str
xpu = _device if STATE["kind"] == "xpu" else _nothing
cuda = _nothing if STATE["kind"] == "xpu" else _device
'''


def uuid_of(place: int) -> str:
    """Return the UUID of the GPU at a place in PCI order."""
    return f"8680a056-0800-0000-0{place}00-000000000000"


def arc(
    place: int, *, name: str = "Intel(R) Arc(TM) A770 Graphics", integrated: bool = False, **changed: Any
) -> dict[str, Any]:
    """Return an Intel GPU, with the names torch.xpu gives its properties."""
    card: dict[str, Any] = {
        "name": name,
        "uuid": uuid_of(place),
        "total_memory": 16_225_243_136,
        "driver_version": "1.6.32567",
    }
    return {**card, "is_integrated_gpu": integrated, **changed}


def geforce(place: int, **changed: Any) -> dict[str, Any]:
    """Return an NVIDIA (or AMD) GPU, with the names torch.cuda gives its properties."""
    card = {"name": f"Card {place}", "uuid": uuid_of(place), "total_memory": 12 << 30, "is_integrated": 0}
    return {**card, "pci_domain_id": 0, "pci_bus_id": 0x10 + place, "pci_device_id": 0, **changed}


def install(folder: Path, kind: str, cards: list[dict[str, Any]], *, version: str = "2.13.0", says: str = "") -> Path:
    """Write the package into `folder` and return the folder, for PYTHONPATH. `says`: the driver fails with this."""
    package = folder / "torch"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(TORCH)
    built = dict.fromkeys(("cuda", "xpu", "hip"), None) | ({} if kind == "cpu" else {kind: "1"})
    lines = [f"__version__ = '{version}+{kind}'", *(f"{name} = {value!r}" for name, value in built.items())]
    (package / "version.py").write_text("\n".join(lines) + "\n")
    (package / "state.json").write_text(json.dumps({"kind": kind, "cards": cards, "says": says}))
    return folder


def plug(
    sys_folder: Path, address: str, *, vendor: str = "0x8086", driver: str = "xe", node: str | None = "renderD128"
) -> None:
    """Write a device into a copy of /sys."""
    device = sys_folder / "bus" / "pci" / "devices" / address
    (device / "drm").mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    known = sys_folder / "bus" / "pci" / "drivers" / driver
    known.mkdir(parents=True, exist_ok=True)
    (device / "driver").symlink_to(known)
    if node is not None:
        (device / "drm" / node).mkdir()

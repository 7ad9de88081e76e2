"""A torch with GPUs that are not there: what a driver would report, and how it heeds masks.

It stands for driver and torch together, the lowest level at which a GPU can be told. Everything above is real: the
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


def _left(gpus, value):
    """GPUs that a mask leaves, in its order; names that are no number end it."""
    if value is None:
        return gpus
    left = []
    for name in value.split(","):
        if not name.strip().isdecimal() or int(name) >= len(gpus):
            break
        left.append(gpus[int(name)])
    return left


def _visible():
    if STATE["says"]:
        raise SystemExit(STATE["says"])
    gpus, environ = STATE["gpus"], os.environ
    in_order = {"xpu": ("ZE_ENABLE_PCI_ID_DEVICE_ORDER", "1"), "cuda": ("CUDA_DEVICE_ORDER", "PCI_BUS_ID")}
    name, value = in_order.get(STATE["kind"], ("", None))
    if environ.get(name) != value:
        gpus = gpus[::-1]
    if STATE["kind"] == "xpu":
        gpus = _left(gpus, environ.get("ZE_AFFINITY_MASK"))
        # torch shows integrated graphics only where there is nothing better.
        return [gpu for gpu in gpus if not gpu["is_integrated_gpu"]] or gpus
    if STATE["kind"] == "cuda":
        return _left(gpus, environ.get("CUDA_VISIBLE_DEVICES"))
    gpus = _left(gpus, environ.get("ROCR_VISIBLE_DEVICES"))
    return _left(gpus, environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES")))


# A driver looks at the masks when it is loaded, and never again.
_gpus = _visible()
_device = SimpleNamespace(
    device_count=lambda: len(_gpus),
    get_device_properties=lambda index: SimpleNamespace(**_gpus[index]),
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
    gpu: dict[str, Any] = {
        "name": name,
        "uuid": uuid_of(place),
        "total_memory": 16_225_243_136,
        "driver_version": "1.6.32567",
    }
    return {**gpu, "is_integrated_gpu": integrated, **changed}


def geforce(place: int, **changed: Any) -> dict[str, Any]:
    """Return an NVIDIA (or AMD) GPU, with the names torch.cuda gives its properties."""
    gpu = {"name": f"Card {place}", "uuid": uuid_of(place), "total_memory": 12 << 30, "is_integrated": 0}
    return {**gpu, "pci_domain_id": 0, "pci_bus_id": 0x10 + place, "pci_device_id": 0, **changed}


def install(folder: Path, kind: str, gpus: list[dict[str, Any]], *, version: str = "2.13.0", says: str = "") -> Path:
    """Write the package into `folder` and return the folder, for PYTHONPATH. `says`: the driver fails with this."""
    package = folder / "torch"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(TORCH)
    built = dict.fromkeys(("cuda", "xpu", "hip"), None) | ({} if kind == "cpu" else {kind: "1"})
    lines = [f"__version__ = '{version}+{kind}'", *(f"{name} = {value!r}" for name, value in built.items())]
    (package / "version.py").write_text("\n".join(lines) + "\n")
    (package / "state.json").write_text(json.dumps({"kind": kind, "gpus": gpus, "says": says}))
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

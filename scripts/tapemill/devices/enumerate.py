"""Enumeration of the GPUs of this machine, as seen by a process without a mask."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tapemill.core.errors import SetupError

from . import pci, visibility
from .device import Kind

LOG = logging.getLogger("tapemill.lanes")

# Importing torch takes seconds, a driver that has to load firmware some more.
LIST_TIMEOUT_S = 120.0
TAIL_LINES = 12


@dataclass(frozen=True)
class Gpu:
    """One GPU."""

    kind: Kind
    number: int | None
    """Index in PCI order, which is the lane's number; None if unknown, under a mask set by others."""
    name: str
    uuid: str
    pci_address: str
    """Such as 0000:03:00.0; empty if unknown."""
    total_bytes: int
    driver: str
    mask: str
    """Environment variables that leave a process only this GPU."""

    @classmethod
    def of(cls, kind: Kind, number: int | None, seen: TorchDevice, mask: str) -> Gpu:
        """Build from a device that torch sees."""
        return cls(kind, number, seen.name, seen.uuid, seen.pci_address, seen.total_bytes, seen.driver, mask)

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Gpu:
        """Build from the output of `to_plain`."""
        return cls(**values)


def enumerate_gpus(kind: Kind) -> list[Gpu]:
    """List all GPUs of a kind, found by a process without a mask; none for the CPU.

    Raises SetupError if that process fails.
    """
    if kind == "cpu":
        return []
    environ = visibility.unmasked_environ(kind, os.environ)
    found = _query(kind, environ)
    if kind != "xpu":
        return [_gpu(kind, number, seen) for number, seen in enumerate(found)]
    addresses = pci.intel_gpus()
    numbered = dict(enumerate(found))
    if 0 < len(found) < len(addresses):
        numbered = _probe_by_mask(found, environ, len(addresses))
        addresses = addresses if len(numbered) == len(addresses) else []
    elif len(found) != len(addresses):
        addresses = []
    known = {seen.uuid for seen in found}
    return [
        _gpu(kind, number, replace(seen, pci_address=addresses[number] if addresses else ""))
        for number, seen in numbered.items()
        if seen.uuid in known
    ]


def _probe_by_mask(found: Sequence[TorchDevice], environ: Mapping[str, str], count: int) -> dict[int, TorchDevice]:
    """Probe each mask for the GPU it leaves. torch hides integrated GPUs beside discrete ones, but masks count them."""
    LOG.info("torch shows %d of %d Intel devices, so each mask is tried", len(found), count)
    found_by_mask: dict[int, TorchDevice] = {}
    for number in range(count):
        seen = _query("xpu", {**environ, visibility.VISIBILITY["xpu"].variable: str(number)})
        if len(seen) == 1:
            found_by_mask[number] = seen[0]
    return found_by_mask


def _query(kind: Kind, environ: Mapping[str, str]) -> list[TorchDevice]:
    # The library need not be installed, it may just be on the path of this process.
    paths = [str(Path(__file__).parents[2]), environ.get("PYTHONPATH", "")]
    # -P: without the working folder on the path.
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()", kind]
    try:
        done = subprocess.run(
            command,
            env={**environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIST_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            f"torch did not list the {kind} GPUs within {LIST_TIMEOUT_S:.0f} s",
            tool="torch",
            remedy="a GPU or its driver hangs: check the system log, restart the machine",
        ) from error
    if done.returncode != 0:
        raise SetupError(
            f"torch could not list the {kind} GPUs",
            tool="torch",
            tool_exit_code=done.returncode,
            stderr_tail=done.stderr.strip().splitlines()[-TAIL_LINES:],
            remedy="install or repair the GPU's driver, or run on the CPU with `--profile profiles/cpu`",
        )
    for line in done.stderr.strip().splitlines():
        LOG.info("  %s", line)
    return [TorchDevice(**values) for values in json.loads(done.stdout.strip().splitlines()[-1])]


def _gpu(kind: Kind, number: int, seen: TorchDevice) -> Gpu:
    return Gpu.of(kind, number, seen, visibility.describe(kind, visibility.mask_for(kind, number, {})))


KERNEL_MODULES = {"cuda": "nvidia", "hip": "amdgpu"}


@dataclass(frozen=True)
class TorchDevice:
    """A GPU as reported by torch."""

    name: str
    uuid: str
    """As formatted by `uuid_text`; empty if the driver reports none."""
    pci_address: str
    """Such as 0000:03:00.0; empty if torch does not report it, as for Intel's."""
    total_bytes: int
    driver: str
    integrated: bool


def torch_devices(kind: Kind) -> list[TorchDevice]:
    """List the GPUs of a kind that this process may use. Imports torch: the mask has to be set before."""
    import torch

    module: Any = torch.xpu if kind == "xpu" else torch.cuda
    return [_torch_device(kind, module.get_device_properties(index)) for index in range(module.device_count())]


def uuid_text(value: object) -> str:
    """Normalise a UUID from torch or tools: bytes, numbers, with or without dashes or the prefix GPU-."""
    raw = getattr(value, "bytes", value)
    if isinstance(raw, (bytes, bytearray, Sequence)) and not isinstance(raw, str):
        digits = bytes(int(byte) & 0xFF for byte in raw).hex()
    else:
        digits = re.sub(r"[^0-9a-f]", "", str(raw).lower())
    return "-".join(filter(None, (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


def _torch_device(kind: Kind, properties: Any) -> TorchDevice:
    return TorchDevice(
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
    """Return the version of the kernel module, where torch does not report the driver's; empty if unknown."""
    try:
        path = Path("/sys/module", KERNEL_MODULES[kind], "version")
        return path.read_text(encoding="ascii").strip()
    except (KeyError, OSError):
        return ""


def main() -> None:
    """Print the GPUs as one line of JSON; drivers may have printed other lines before."""
    (kind,) = sys.argv[1:]
    sys.stdout.write("\n" + json.dumps([asdict(gpu) for gpu in torch_devices(kind)]) + "\n")  # type: ignore[arg-type]

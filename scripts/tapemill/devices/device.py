"""Common interface of the devices torch runs on: CPU, Intel (xpu), NVIDIA (cuda), AMD (hip).

Nothing here imports torch before a function needs it, so that the lane can choose the GPU first. Memory is queried in
`memory`, errors are translated in `errors`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tapemill.core.errors import ConfigError, SetupError

if TYPE_CHECKING:
    import torch

LOG = logging.getLogger("tapemill.devices")

Kind = Literal["cpu", "xpu", "cuda", "hip"]
KINDS: tuple[Kind, ...] = ("cpu", "xpu", "cuda", "hip")
Precision = Literal["auto", "fp32", "fp16", "bf16"]

# After masking a process sees one GPU, so its number is 0. AMD's build of torch uses the name cuda as well.
TORCH_NAMES: Final[dict[Kind, str]] = {"cpu": "cpu", "xpu": "xpu:0", "cuda": "cuda:0", "hip": "cuda:0"}
# DEVICE of `make setup`: AMD's build of torch is called ROCm, its interface HIP.
SETUP_DEVICES: Final[Mapping[Kind, str]] = {"cpu": "cpu", "xpu": "xpu", "cuda": "cuda", "hip": "rocm"}
VENDORS: Final[Mapping[Kind, str]] = {"cpu": "CPU", "xpu": "Intel", "cuda": "NVIDIA", "hip": "AMD"}
# NVIDIA's GPUs compute faster in half precision from Volta on; AMD's numbers begin above that.
HALF_PRECISION_FROM: Final = (7, 0)
ON_THE_CPU: Final = "or run on the CPU: `--profile profiles/cpu`"


@dataclass(frozen=True)
class Device:
    """Device of a job. After masking a process sees one GPU, so it needs no number."""

    kind: Kind
    memory_share: float = 1.0
    """Share of the GPU's memory that the job may use."""
    degrade_level: int = 0
    """Index of the first candidate to try (`memory_planner`): earlier attempts of the job ran out of memory."""
    pci_address: str = ""
    """PCI address such as 0000:03:00.0; empty if unknown. For libraries that ignore masks (Quick Sync)."""
    name: str = ""
    """Name of the GPU by its driver; empty for the CPU."""
    uuid: str = ""
    """UUID of the GPU; empty if unknown."""


CPU = Device("cpu")


def torch_name(device: Device) -> str:
    """Return torch's name of the device, such as "xpu:0"."""
    return TORCH_NAMES[device.kind]


def backend(device: Device) -> Any:
    """Return torch's module for a GPU: torch.xpu or torch.cuda. Not for the CPU."""
    import torch

    return getattr(torch, torch_name(device).partition(":")[0])


def open_device(device: Device) -> torch.device:
    """Return the device as a torch.device, with its memory share set.

    Raises SetupError if this torch was built for other GPUs, or sees none.
    """
    import torch

    if device.kind != "cpu":
        _check_build(device.kind)
        _check_gpu(device)
        _limit(device)
    return torch.device(torch_name(device))


def _check_build(kind: Kind) -> None:
    import torch

    built_for = {"xpu": torch.version.xpu, "cuda": torch.version.cuda, "hip": torch.version.hip}
    if built_for[kind] is None:
        found = next((other for other, version in built_for.items() if version is not None), "cpu")
        raise SetupError(
            f"a GPU of kind {kind} ({VENDORS[kind]}) was requested, but this torch ({torch.__version__}) was built "
            f"for {found}",
            tool="torch",
            remedy=f"run `make setup DEVICE={SETUP_DEVICES[kind]}`, {ON_THE_CPU}",
        )


def _check_gpu(device: Device) -> None:
    try:
        count = backend(device).device_count()
    except RuntimeError as error:
        raise SetupError(
            f"the driver of the {VENDORS[device.kind]} GPU does not answer: {error}",
            tool="torch",
            remedy=f"see that the driver is installed and you may use /dev/dri, {ON_THE_CPU}",
        ) from error
    if count == 0:
        raise SetupError(
            f"torch sees no {VENDORS[device.kind]} GPU",
            tool="torch",
            remedy="see that the GPU's driver is installed, that your user may use it (groups `render` and `video`) "
            f"and that no mask hides it, {ON_THE_CPU}",
        )


def _limit(device: Device) -> None:
    """Limit torch to the memory share. Set always: a worker keeps the limit of an earlier job."""
    set_share = getattr(backend(device), "set_per_process_memory_fraction", None)
    if set_share is not None:
        set_share(float(device.memory_share))
    elif device.memory_share < 1:
        LOG.warning("this torch cannot limit the memory of a GPU of kind %s: the share is only planned", device.kind)


def dtype_for(device: Device, precision: Precision = "auto") -> torch.dtype:
    """Return the number format to compute in: `precision`, or for "auto" what the device does well.

    Raises ConfigError if the device does not support it.
    """
    import torch

    can_half, can_brain = _formats(device)
    if precision == "auto":
        return torch.float16 if can_half else torch.float32
    if (precision == "fp16" and not can_half) or (precision == "bf16" and not can_brain):
        can = [name for name, able in (("fp32", True), ("fp16", can_half), ("bf16", can_brain)) if able]
        raise ConfigError(
            f"this device ({device.kind}) does not compute in {precision}", remedy=f"choose auto or {' or '.join(can)}"
        )
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def _formats(device: Device) -> tuple[bool, bool]:
    """Return whether the device computes fast in fp16, and whether it supports bf16 without emulation."""
    if device.kind == "cpu":
        return False, False
    module = backend(device)
    if device.kind == "xpu":
        properties = module.get_device_properties()
        return bool(properties.has_fp16), bool(module.is_bf16_supported(including_emulation=False))
    return (
        module.get_device_capability() >= HALF_PRECISION_FROM,
        bool(module.is_bf16_supported(including_emulation=False)),
    )

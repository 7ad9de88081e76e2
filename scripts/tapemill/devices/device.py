"""One face for the kinds of card torch runs on: CPU, Intel (xpu), NVIDIA (cuda), AMD (hip).

Nothing here imports torch before a function needs it, so that the lane can choose the card first. What a card's memory
holds is asked in `cardmemory`, what its errors mean is said in `cardfaults`.
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

# After masking a process sees one card, so its number is 0. AMD's build of torch speaks of cuda as well.
TORCH_NAMES: Final[dict[Kind, str]] = {"cpu": "cpu", "xpu": "xpu:0", "cuda": "cuda:0", "hip": "cuda:0"}
VENDORS: Final[Mapping[Kind, str]] = {"cpu": "CPU", "xpu": "Intel", "cuda": "NVIDIA", "hip": "AMD"}
# NVIDIA's cards compute faster in half precision from Volta on; AMD's numbers begin above that.
HALF_PRECISION_FROM: Final = (7, 0)
ON_THE_CPU: Final = "or run on the CPU: `--profile profiles/cpu`"


@dataclass(frozen=True)
class Device:
    """What a job computes on. After masking a process sees one card, so it needs no number."""

    kind: Kind
    memory_share: float = 1.0
    """Share of the card's memory that the job may use."""
    degrade_level: int = 0
    """How many steps below what was asked for to begin with: earlier attempts of the job ran out of memory."""
    pci_address: str = ""
    """Where the card sits, such as 0000:03:00.0; empty if unknown. For libraries that no mask reaches (Quick Sync)."""
    name: str = ""
    """Of the card, by its driver; empty for the CPU."""
    uuid: str = ""
    """Of the card; empty if unknown."""


CPU = Device("cpu")


def torch_name(device: Device) -> str:
    """What torch calls the device, such as "xpu:0"."""
    return TORCH_NAMES[device.kind]


def backend(device: Device) -> Any:
    """The module of torch for a card: torch.xpu or torch.cuda. There is none worth the name for the CPU."""
    import torch

    return getattr(torch, torch_name(device).partition(":")[0])


def open_device(device: Device) -> torch.device:
    """The device as torch wants it, with its share of the memory set.

    Raises SetupError if this torch was built for other cards, or sees none.
    """
    import torch

    if device.kind != "cpu":
        _check_build(device.kind)
        _check_card(device)
        _limit(device)
    return torch.device(torch_name(device))


def _check_build(kind: Kind) -> None:
    import torch

    built_for = {"xpu": torch.version.xpu, "cuda": torch.version.cuda, "hip": torch.version.hip}
    if built_for[kind] is None:
        found = next((other for other, version in built_for.items() if version is not None), "cpu")
        # AMD's wheels come from PyTorch's own index, the Makefile has no word for them.
        how = "install PyTorch's ROCm build" if kind == "hip" else f"run `make setup DEVICE={kind}`"
        raise SetupError(
            f"a card of kind {kind} ({VENDORS[kind]}) was asked for, but this torch ({torch.__version__}) was built "
            f"for {found}",
            tool="torch",
            remedy=f"{how}, {ON_THE_CPU}",
        )


def _check_card(device: Device) -> None:
    try:
        count = backend(device).device_count()
    except RuntimeError as error:
        raise SetupError(
            f"the driver of the {VENDORS[device.kind]} card does not answer: {error}",
            tool="torch",
            remedy=f"see that the driver is installed and you may use /dev/dri, {ON_THE_CPU}",
        ) from error
    if count == 0:
        raise SetupError(
            f"torch sees no {VENDORS[device.kind]} card",
            tool="torch",
            remedy="see that the card's driver is installed, that your user may use it (groups `render` and `video`) "
            f"and that no mask hides it, {ON_THE_CPU}",
        )


def _limit(device: Device) -> None:
    """Let torch take no more than its share. Set always: a worker keeps what an earlier job had set."""
    set_share = getattr(backend(device), "set_per_process_memory_fraction", None)
    if set_share is not None:
        set_share(float(device.memory_share))
    elif device.memory_share < 1:
        LOG.warning("this torch cannot limit the memory of a card of kind %s: the share is only planned", device.kind)


def dtype_for(device: Device, wish: Precision = "auto") -> torch.dtype:
    """The number format to compute in: what the device does well, or what is wished for.

    Raises ConfigError if the device cannot do what is wished for.
    """
    import torch

    can_half, can_brain = _formats(device)
    if wish == "auto":
        return torch.float16 if can_half else torch.float32
    if (wish == "fp16" and not can_half) or (wish == "bf16" and not can_brain):
        can = [name for name, able in (("fp32", True), ("fp16", can_half), ("bf16", can_brain)) if able]
        raise ConfigError(
            f"this device ({device.kind}) does not compute in {wish}", remedy=f"choose auto or {' or '.join(can)}"
        )
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[wish]


def _formats(device: Device) -> tuple[bool, bool]:
    """Whether the device computes well in fp16, and at all in bf16 without emulating it."""
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

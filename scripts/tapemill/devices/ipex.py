"""Optional optimisation by Intel's extension for PyTorch, which has an environment of its own (`make setup-ipex`)."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch
from .device import CPU, LOG, Device

PACKAGE: Final = "intel_extension_for_pytorch"
KINDS: Final = ("xpu", "cpu")


def extension_version(device: Device = CPU) -> dict[str, str]:
    """Return name and version of the extension that `optimise` uses on a device, for records; empty without one."""
    versions = installed_versions()
    if versions is None or device.kind not in KINDS or not _is_for(*versions):
        return {}
    return {PACKAGE: versions[1]}


def optimise(model: Any, device: Device, dtype: torch.dtype | None = None) -> Any:
    """Return the model optimised by Intel's extension for PyTorch, if it is installed and matches this torch.

    Return the model unchanged on NVIDIA's and AMD's GPUs, and wherever the extension fails: nothing may depend on it.
    Without `dtype` the weights keep their number format. The result is a copy, so that a failure leaves no trace.
    """
    versions = installed_versions()
    if device.kind not in KINDS or versions is None:
        return model
    ours, theirs = versions
    # Importing an extension for another torch kills the process, so the versions are compared first.
    if not _is_for(ours, theirs):
        LOG.warning("%s %s does not belong to torch %s and is not used", PACKAGE, theirs, ours)
        return model
    try:
        extension: Any = importlib.import_module(PACKAGE)
        # Folding would trace the model with torch.fx, which fixes in it what depends on the input.
        optimised = extension.optimize(model.eval(), dtype=dtype, conv_bn_folding=False, linear_bn_folding=False)
    except Exception as error:  # noqa: BLE001  whatever it is: without the extension everything works as well
        LOG.warning("%s failed (%s), continuing without it", PACKAGE, error)
        return model
    LOG.info("%d layers optimised by %s %s", optimised_layers(optimised), PACKAGE, theirs)
    return optimised


def optimised_layers(model: Any) -> int:
    """Return the number of layers that the extension has replaced by its own."""
    return sum(type(layer).__module__.startswith(f"{PACKAGE}.") for layer in model.modules())


def installed_versions() -> tuple[str, str] | None:
    """Return the versions of torch and of the extension; None without the extension."""
    try:
        return metadata.version("torch"), metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return None


def _is_for(ours: str, theirs: str) -> bool:
    """Whether an extension belongs to a torch: their first two numbers are the same."""
    return ours.split(".")[:2] == theirs.split(".")[:2]

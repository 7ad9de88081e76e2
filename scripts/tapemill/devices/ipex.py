"""Optional optimisation by Intel's extension for PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
from .device import LOG, Device


def optimise(model: Any, device: Device, dtype: torch.dtype | None = None) -> Any:
    """Return the model optimised by Intel's extension for PyTorch, if it is installed and matches this torch.

    Return the model unchanged on other devices, and wherever the extension fails: it ended with torch 2.8, and nothing
    may depend on it. Without `dtype` the weights keep their number format.
    """
    if device.kind != "xpu":
        return model
    import importlib.metadata

    try:
        ours, theirs = (importlib.metadata.version(name) for name in ("torch", "intel_extension_for_pytorch"))
    except importlib.metadata.PackageNotFoundError:
        return model
    # Importing an extension for another torch kills the process, so the versions are compared first.
    if ours.split(".")[:2] != theirs.split(".")[:2]:
        LOG.info("intel_extension_for_pytorch %s does not belong to torch %s and is not used", theirs, ours)
        return model
    try:
        extension: Any = importlib.import_module("intel_extension_for_pytorch")
        optimised = extension.optimize(model.eval(), dtype=dtype)
    except Exception as error:  # noqa: BLE001  whatever it is: without the extension everything works as well
        LOG.warning("intel_extension_for_pytorch failed (%s), going on without it", error)
        return model
    LOG.info("optimised by intel_extension_for_pytorch %s", theirs)
    return optimised

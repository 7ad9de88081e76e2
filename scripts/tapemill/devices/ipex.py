"""Split of tapemill.device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
from .device import LOG, Device


def optimise(model: Any, device: Device, dtype: torch.dtype | None = None) -> Any:
    """The model as Intel's extension for PyTorch makes it faster, where that is installed and belongs to this torch.

    The model itself for other cards, and wherever the extension is of no use: it ended with torch 2.8, and nothing may
    depend on it. Without `dtype` the model's numbers stay what they are.
    """
    if device.kind != "xpu":
        return model
    import importlib.metadata

    try:
        ours, theirs = (importlib.metadata.version(name) for name in ("torch", "intel_extension_for_pytorch"))
    except importlib.metadata.PackageNotFoundError:
        return model
    # Importing one that belongs to another torch ends the process, so the versions are compared first.
    if ours.split(".")[:2] != theirs.split(".")[:2]:
        LOG.info("intel_extension_for_pytorch %s does not belong to torch %s and is not used", theirs, ours)
        return model
    try:
        extension: Any = importlib.import_module("intel_extension_for_pytorch")
        better = extension.optimize(model.eval(), dtype=dtype)
    except Exception as error:  # noqa: BLE001  whatever it is: without the extension everything works as well
        LOG.warning("intel_extension_for_pytorch failed (%s), going on without it", error)
        return model
    LOG.info("optimised by intel_extension_for_pytorch %s", theirs)
    return better

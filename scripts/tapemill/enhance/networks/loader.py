"""Loader of the networks of a chain onto a device: frame models and VRT become a `Network`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.core.errors import ModelError
from tapemill.devices.device import Device, dtype_for, open_device
from tapemill.devices.ipex import optimise
from tapemill.devices.memory_planner import Candidate, first_that_fits
from tapemill.devices.model_cache import headroom_bytes, load_verified
from tapemill.enhance.chain import NetworkStep
from tapemill.enhance.settings import EnhanceSettings
from tapemill.enhance.vrt.checkpoints import identify_checkpoint
from tapemill.enhance.vrt.memory import activation_bytes
from tapemill.models import ModelFile
from tapemill.models.torchvision_shim import make_importable
from tapemill.models.weights_io import load_state_dict

from .inspect_weights import frame_descriptor
from .tiled_inference import MemoryNeed, Network

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tapemill.enhance.vrt import VRT
    from tapemill.enhance.vrt.config import VrtConfig

LOG = logging.getLogger("tapemill.enhance")

# Reach of a frame model's first layers in samples; deeper layers add little.
FRAME_MARGIN: Final = 8
# Weights in files are usually single precision.
STORED_BYTES: Final = 4


def load_network(step: NetworkStep, settings: EnhanceSettings, device: Device, *, single: bool = False) -> Network:
    """Load the network of a step. It stays in the process for later jobs.

    With `single` it runs in single precision whatever the settings are. Raises ModelError if the file is not the pinned
    one, damaged, of an unknown architecture or different from its entry in the registry; SetupError if there is no such
    device, OutOfMemory if its weights cannot fit.
    """
    target = open_device(device)
    dtype = dtype_for(device, "fp32" if single else settings.network_precision)
    file = ModelFile(Path(step.file), step.sha256)
    weights = _weights_bytes(file.path, dtype)
    first_that_fits([Candidate(f"{step.model}, loaded", None, weights)], device, headroom_bytes(device))
    load, make = {"frame": (_load_frame_model, _frame_network), "vrt": (_load_vrt, _vrt_network)}[step.kind]
    # The weights are the same, compiled or not, but not the programs.
    program = f"{step.kind}, compiled" if settings.network_compile else step.kind
    model = load_verified(
        program, file, dtype, device, lambda: load(file.path, device, target, dtype, settings), need_bytes=weights
    )
    network: Network = make(step, model)
    if network.scale != step.scale:
        raise ModelError(
            f"{step.model} upscales by {network.scale}, its entry has {step.scale}",
            file=file.path,
            remedy="correct `scale` in config/models.yaml",
        )
    return network


def _weights_bytes(path: Path, dtype: torch.dtype) -> int:
    return path.stat().st_size * dtype.itemsize // STORED_BYTES if path.is_file() else 0


def _load_frame_model(
    path: Path, device: Device, target: torch.device, dtype: torch.dtype, settings: EnhanceSettings
) -> Any:
    """Load a descriptor of spandrel onto the device, in `dtype` if the architecture supports it, else in float32."""
    import torch

    descriptor = frame_descriptor(load_state_dict(path), path)
    supported = {torch.float16: descriptor.supports_half, torch.bfloat16: descriptor.supports_bfloat16}
    if not supported.get(dtype, True):
        LOG.info("%s does not support %s, using single precision", path.name, dtype)
        dtype = torch.float32
    descriptor.model.eval().to(memory_format=torch.channels_last)
    descriptor.to(target, dtype)
    if settings.network_compile:
        _compile(descriptor.model)
    else:
        # spandrel has no way to exchange the network as a whole.
        for name, layer in optimise(descriptor.model, device).named_children():
            setattr(descriptor.model, name, layer)
    return descriptor


def _frame_network(step: NetworkStep, descriptor: Any) -> Network:
    from spandrel import ModelTiling

    requirements = descriptor.size_requirements
    return Network(
        name=step.model,
        scale=descriptor.scale,
        multiple=requirements.multiple_of,
        least_side=max(requirements.minimum, 1),
        least_frames=1,
        window_frames=1,
        margin=FRAME_MARGIN,
        can_tile=descriptor.tiling == ModelTiling.SUPPORTED,
        device=descriptor.device,
        dtype=descriptor.dtype,
        run=descriptor,
        need=None,
    )


def _load_vrt(path: Path, device: Device, target: torch.device, dtype: torch.dtype, settings: EnhanceSettings) -> Any:
    """Load the VRT of a checkpoint, with its configuration."""
    # Its deformable convolution uses torchvision's operator if it is loaded: it must be in every process, or in none.
    make_importable()
    import torchvision  # type: ignore[import-untyped]  # noqa: F401

    from tapemill.enhance.vrt import VRT

    state = load_state_dict(path)
    config = identify_checkpoint(state, path).config
    model = VRT(**config.as_mapping())
    model.load_state_dict(state, strict=True)
    model.eval().to(device=target, dtype=dtype)
    if settings.network_compile:
        _compile(model)
    else:
        model = optimise(model, device)
    return model, config


def _vrt_network(step: NetworkStep, loaded: tuple[VRT, VrtConfig]) -> Network:
    import torch

    model, config = loaded
    parameter = next(model.parameters())

    def run(clip: Tensor) -> Tensor:
        if config.nonblind_denoising:
            noise = torch.full_like(clip[:, :1], step.sigma / 255)
            clip = torch.cat([clip, noise], dim=1)
        result: Tensor = model(clip[None])[0]
        return result

    def need(frames: int, height: int, width: int) -> MemoryNeed:
        size = (frames, height, width)
        needs = activation_bytes(config, *size, parameter.dtype.itemsize, parameter.device.type)
        return MemoryNeed(needs.peak_bytes, needs.largest_tensor_bytes)

    return Network(
        name=step.model,
        scale=config.upscale,
        multiple=config.side_multiple,
        least_side=max(config.least_sides),
        least_frames=config.least_frames,
        window_frames=config.temporal_window,
        margin=0,
        can_tile=True,
        device=parameter.device,
        dtype=parameter.dtype,
        run=run,
        need=need,
    )


def _compile(model: Any) -> None:
    import torch._dynamo

    # Parts that cannot be compiled run uncompiled.
    torch._dynamo.config.suppress_errors = True
    model.compile()

"""Loading the networks of a chain onto a device: frame models and VRT become one kind of thing to the engine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.core.errors import ModelError
from tapemill.devices.device import Device, dtype_for, open_device
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

# As far as a frame model's first layers see; what a deeper one sees beyond is little.
FRAME_MARGIN: Final = 8
# Weights in files are single precision as a rule.
STORED_BYTES: Final = 4


def load_network(step: NetworkStep, settings: EnhanceSettings, device: Device, *, single: bool = False) -> Network:
    """The network of a step, ready to run. It stays in the process for the jobs to come.

    With `single` it computes in single precision whatever the settings say. Raises ModelError if the file is not the
    pinned one, damaged, of an unknown architecture or not what the registry says of it; SetupError if there is no such
    device, OutOfMemory if its weights will never fit.
    """
    target = open_device(device)
    dtype = dtype_for(device, "fp32" if single else settings.network_precision)
    file = ModelFile(Path(step.file), step.sha256)
    weights = _weights_bytes(file.path, dtype)
    first_that_fits([Candidate(f"{step.model}, loaded", None, weights)], device, headroom_bytes(device))
    load, make = {"frame": (_load_frame_model, _frame_network), "vrt": (_load_vrt, _vrt_network)}[step.kind]
    # Compiled or not, the weights are the same; the programs are not.
    program = f"{step.kind}, compiled" if settings.network_compile else step.kind
    model = load_verified(
        program, file, dtype, device, lambda: load(file.path, target, dtype, settings), need_bytes=weights
    )
    network: Network = make(step, model)
    if network.scale != step.scale:
        raise ModelError(
            f"{step.model} enlarges {network.scale} times, its entry says {step.scale}",
            file=file.path,
            remedy="correct `scale` in config/models.yaml",
        )
    return network


def _weights_bytes(path: Path, dtype: torch.dtype) -> int:
    return path.stat().st_size * dtype.itemsize // STORED_BYTES if path.is_file() else 0


def _load_frame_model(path: Path, target: torch.device, dtype: torch.dtype, settings: EnhanceSettings) -> Any:
    """A descriptor of spandrel, on the device, in the numbers asked for or in those the architecture can do."""
    import torch

    descriptor = frame_descriptor(load_state_dict(path), path)
    able = {torch.float16: descriptor.supports_half, torch.bfloat16: descriptor.supports_bfloat16}
    if not able.get(dtype, True):
        LOG.info("%s does not compute well in %s, so it does in single precision", path.name, dtype)
        dtype = torch.float32
    descriptor.model.eval().to(memory_format=torch.channels_last)
    descriptor.to(target, dtype)
    _compile(descriptor.model, settings)
    return descriptor


def _frame_network(step: NetworkStep, descriptor: Any) -> Network:
    from spandrel import ModelTiling

    needs = descriptor.size_requirements
    return Network(
        name=step.model,
        scale=descriptor.scale,
        multiple=needs.multiple_of,
        least_side=max(needs.minimum, 1),
        least_frames=1,
        window_frames=1,
        margin=FRAME_MARGIN,
        can_tile=descriptor.tiling == ModelTiling.SUPPORTED,
        device=descriptor.device,
        dtype=descriptor.dtype,
        run=descriptor,
        need=None,
    )


def _load_vrt(path: Path, target: torch.device, dtype: torch.dtype, settings: EnhanceSettings) -> Any:
    """The VRT that a checkpoint belongs to, and what it is."""
    # Its deformable convolution takes torchvision's operator where there is one: in every process, or in none.
    make_importable()
    import torchvision  # type: ignore[import-untyped]  # noqa: F401

    from tapemill.enhance.vrt import VRT

    state = load_state_dict(path)
    arguments = identify_checkpoint(state, path).arguments
    model = VRT(**arguments.as_mapping())
    model.load_state_dict(state, strict=True)
    model.eval().to(device=target, dtype=dtype)
    _compile(model, settings)
    return model, arguments


def _vrt_network(step: NetworkStep, loaded: tuple[VRT, VrtConfig]) -> Network:
    import torch

    model, arguments = loaded
    parameter = next(model.parameters())

    def run(clip: Tensor) -> Tensor:
        if arguments.nonblind_denoising:
            noise = torch.full_like(clip[:, :1], step.sigma / 255)
            clip = torch.cat([clip, noise], dim=1)
        made: Tensor = model(clip[None])[0]
        return made

    def need(frames: int, height: int, width: int) -> MemoryNeed:
        size = (frames, height, width)
        needs = activation_bytes(arguments, *size, parameter.dtype.itemsize, parameter.device.type)
        return MemoryNeed(needs.peak_bytes, needs.largest_tensor_bytes)

    return Network(
        name=step.model,
        scale=arguments.upscale,
        multiple=arguments.side_multiple,
        least_side=max(arguments.least_sides),
        least_frames=arguments.least_frames,
        window_frames=arguments.temporal_window,
        margin=0,
        can_tile=True,
        device=parameter.device,
        dtype=parameter.dtype,
        run=run,
        need=need,
    )


def _compile(model: Any, settings: EnhanceSettings) -> None:
    if settings.network_compile:
        import torch._dynamo

        # What cannot be compiled runs as it is.
        torch._dynamo.config.suppress_errors = True
        model.compile()

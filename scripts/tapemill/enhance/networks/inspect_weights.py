"""Inspection of weight files: VRT or a frame model that spandrel knows, and the upscaling factor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.core.errors import ModelError
from tapemill.enhance.vrt.checkpoints import identify_checkpoint
from tapemill.models import Description
from tapemill.models.torchvision_shim import make_importable
from tapemill.models.weights_io import load_state_dict

if TYPE_CHECKING:
    from torch import Tensor

SCALES: Final = (1, 2, 4)
# Layers of every VRT, also of that for interpolation, and of no network of spandrel.
VRT_KEYS: Final = ("conv_first.weight", "stage1.reshape.1.weight", "stage7.linear1.weight", "stage8.0.1.weight")


def inspect_weights(path: Path) -> Description:
    """Inspect a file of weights. Raises ModelError if it is not of a network that can be used here."""
    state = load_state_dict(path)
    if is_vrt(state):
        found = Description("vrt", _vrt_scale(state, path), "VRT")
    else:
        network = frame_descriptor(state, path)
        found = Description("frame", network.scale, network.architecture.name)
    if found.scale not in SCALES:
        raise ModelError(
            f"the network ({found.architecture}) upscales by {found.scale}; 1, 2 and 4 are possible",
            file=path,
            remedy="use the same network with another scale",
        )
    return found


def is_vrt(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is of VRT (Liang et al. 2022), by the names of its layers."""
    return all(key in state for key in VRT_KEYS)


def _vrt_scale(state: Mapping[str, Tensor], path: Path) -> int:
    """Upscaling factor of an official VRT. Raises ModelError for others, and for one that interpolates frames."""
    config = identify_checkpoint(state, path).config
    if config.frames_out is not None:
        raise ModelError(
            f"this VRT returns {config.frames_out} frame for {config.least_frames}; a chain needs one for each",
            file=path,
            remedy="use a checkpoint for denoising, deblurring or enlarging",
        )
    return config.upscale


def frame_descriptor(state: dict[str, Tensor], path: Path) -> Any:
    """Descriptor of spandrel for a frame model, with the network. Raises ModelError if it cannot be used here."""
    make_importable()
    import spandrel

    architectures = sorted(support.architecture.name for support in spandrel.MAIN_REGISTRY)
    try:
        network = spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"the file holds a network of an unknown architecture; its layers begin with {', '.join(list(state)[:3])}",
            file=path,
            remedy=f"use one of VRT, {', '.join(architectures)}",
        ) from error
    # spandrel detects some architectures by few layers, and the other layers may not fit.
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AssertionError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"the weights do not fit the detected architecture: {first}",
            file=path,
            remedy="fetch the file again; if that does not help, use another one",
        ) from error
    name = network.architecture.name
    channels = (network.input_channels, network.output_channels)
    if not isinstance(network, spandrel.ImageModelDescriptor) or network.purpose == "FaceSR" or channels != (3, 3):
        raise ModelError(
            f"the network ({name}, {network.purpose}, {channels[0]} channels in and {channels[1]} out) does not "
            "turn one colour image into another",
            file=path,
            remedy="use a network that restores or upscales whole colour images",
        )
    return network

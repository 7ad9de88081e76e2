"""What a file of weights is: VRT, or a frame model that spandrel knows; and how much larger it makes the picture."""

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
# Layers that every VRT has, also the one for interpolation, and no network of spandrel has.
VRT_KEYS: Final = ("conv_first.weight", "stage1.reshape.1.weight", "stage7.linear1.weight", "stage8.0.1.weight")


def inspect_weights(path: Path) -> Description:
    """Look into a file of weights. Raises ModelError if it is not that of a network which can restore pictures here."""
    state = load_state_dict(path)
    if is_vrt(state):
        found = Description("vrt", _vrt_scale(state, path), "VRT")
    else:
        network = frame_descriptor(state, path)
        found = Description("frame", network.scale, network.architecture.name)
    if found.scale not in SCALES:
        raise ModelError(
            f"the network ({found.architecture}) makes pictures {found.scale} times larger; 1, 2 and 4 are possible",
            file=path,
            remedy="take the same network with another scale",
        )
    return found


def is_vrt(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is one of VRT's (Liang et al. 2022), by the names of its layers."""
    return all(key in state for key in VRT_KEYS)


def _vrt_scale(state: Mapping[str, Tensor], path: Path) -> int:
    """How many times larger an official VRT makes the picture. Raises ModelError for others, and if it interpolates."""
    arguments = identify_checkpoint(state, path).arguments
    if arguments.frames_out is not None:
        raise ModelError(
            f"this VRT makes {arguments.frames_out} frame from {arguments.least_frames}; a chain needs one for each",
            file=path,
            remedy="take a checkpoint for denoising, deblurring or enlarging",
        )
    return arguments.upscale


def frame_descriptor(state: dict[str, Tensor], path: Path) -> Any:
    """A frame model as spandrel describes it, the network included. Raises ModelError if it is of no use here."""
    make_importable()
    import spandrel

    known = sorted(support.architecture.name for support in spandrel.MAIN_REGISTRY)
    try:
        network = spandrel.ModelLoader().load_from_state_dict(state)
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"the file holds a network of no known architecture; its layers begin with {', '.join(list(state)[:3])}",
            file=path,
            remedy=f"take one of VRT, {', '.join(known)}",
        ) from error
    # spandrel recognises some architectures by few layers, and then builds what the others do not fit.
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AssertionError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"the weights do not fit the architecture that they look like: {first}",
            file=path,
            remedy="fetch the file again; if it stays so, take another one",
        ) from error
    name = network.architecture.name
    channels = (network.input_channels, network.output_channels)
    if not isinstance(network, spandrel.ImageModelDescriptor) or network.purpose == "FaceSR" or channels != (3, 3):
        raise ModelError(
            f"the network ({name}, {network.purpose}, {channels[0]} channels in and {channels[1]} out) does not make "
            "a colour picture from a colour picture alone",
            file=path,
            remedy="take a network for restoring or enlarging whole colour pictures",
        )
    return network

"""What a file of weights is: VRT, or a frame model that spandrel knows; and how much larger it makes the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import ModelError
from ..models import Description
from ..weights import load_state
from .torchvision import make_importable

if TYPE_CHECKING:
    from torch import Tensor

SCALES: Final = (1, 2, 4)
# Layers that every VRT has, also the one for interpolation, and no network of spandrel has.
VRT_KEYS: Final = ("conv_first.weight", "stage1.reshape.1.weight", "stage7.linear1.weight", "stage8.0.1.weight")


def describe(path: Path) -> Description:
    """Look into a file of weights. Raises ModelError if it is not that of a network which can restore pictures here."""
    state = load_state(path)
    if is_vrt(state):
        found = Description("vrt", vrt_scale(state), "VRT")
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


def vrt_scale(state: Mapping[str, Tensor]) -> int:
    """How many times larger VRT makes the picture.

    Each layer that enlarges k times (a pixel shuffle) has k² times as many channels out as in; a network that does not
    enlarge has no `upsample` layers.
    """
    shapes = [tensor.shape for key, tensor in state.items() if key.startswith("upsample.") and key.endswith(".weight")]
    return math.prod(math.isqrt(shape[0] // shape[1]) for shape in shapes)


def frame_descriptor(state: dict[str, Tensor], path: Path) -> Any:
    """spandrel's descriptor of a frame model, with the network in it. Raises ModelError if it is of no use here."""
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

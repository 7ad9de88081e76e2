"""Small VRTs with random weights, and the recorded ones where they are beside the checkout."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from tests.support.project import ROOT

if TYPE_CHECKING:
    from tapemill.enhance.vrt import VRT

RECORDED = ROOT.parent / "shared" / "vrt"
SMALL: Final[dict[str, Any]] = {
    "upscale": 1,
    "img_size": [4, 40, 40],
    "window_size": [3, 4, 4],
    "depths": [2, 2, 1, 2, 2, 4, 2, 2, 2],
    "indep_reconsts": [8],
    "embed_dims": [12, 24, 24, 24, 24, 24, 12, 16, 16],
    "num_heads": [2] * 9,
    "deformable_groups": 6,
}


def official_keys(task: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of each entry of an official state dict."""
    entries = json.loads(gzip.decompress((RECORDED / "keys" / f"{task}.json.gz").read_bytes()))["entries"]
    return {entry["name"]: (tuple(entry["shape"]), entry["dtype"]) for entry in entries}


def small_network(seed: int = 0, **changes: Any) -> VRT:
    """Return a VRT whose every weight matters, and whose flows stay between 1.1 and 1.9 pixels to the right and up.

    So they never come near a whole pixel, where the input's warp is discontinuous.
    """
    from tapemill.enhance.vrt import VRT

    torch.manual_seed(seed)
    network = VRT(**SMALL | changes).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
            elif name.endswith("weight"):
                parameter.uniform_(0.7, 1.3)
            else:
                parameter.normal_(0, 0.1)
        for name, parameter in network.named_parameters():
            if name.endswith("relative_position_bias_table"):
                parameter.normal_(0, 1)
            if name.endswith("conv_offset.6.weight"):
                parameter.mul_(0.1)
            if name.startswith("spynet") and ".basic_module.8." in name:
                parameter.mul_(0.05)
            if name == "spynet.basic_module.5.basic_module.8.bias":
                parameter.copy_(torch.tensor([1.5, -1.5]))
    return network


def clip_for(
    network: VRT, frames: int, height: int = 40, width: int = 40, count: int = 1, seed: int = 1
) -> torch.Tensor:
    """Return a random clip, smooth enough that flows differ from place to place."""
    torch.manual_seed(seed)
    channels = network.config.channels_in
    coarse = torch.rand(count * frames, channels, height // 8, width // 8)
    clip = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (clip + 0.1 * torch.rand_like(clip)).view(count, frames, channels, height, width)


def recorded(name: str) -> tuple[dict[str, Any], np.lib.npyio.NpzFile, Any]:
    """Return description, arrays and trace of a recorded network."""
    folder: Path = RECORDED / "public"
    about, trace = (json.loads((folder / f"{name}{end}").read_text()) for end in (".json", ".trace.json"))
    return about, np.load(folder / f"{name}.npz"), trace

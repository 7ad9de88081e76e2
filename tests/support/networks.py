"""Small networks of random weights for tests and benchmarks, and chains that hold them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

from tapemill.enhance.chain import NetworkStep
from tapemill.models.torchvision_shim import make_importable


def compact(
    path: Path, *, scale: int = 1, gain: float = 0.0, bias: float = 0.0, features: int = 8, layers: int = 2
) -> Path:
    """Write a Compact network that adds `gain` of random structure, and `bias`, to its input; return `path`."""
    make_importable()
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(5)
    model = Compact(num_in_ch=3, num_out_ch=3, num_feat=features, num_conv=layers, upscale=scale)
    last = model.body[-1]
    with torch.no_grad():
        last.weight.mul_(gain)
        last.bias.fill_(bias)
    save_file(model.state_dict(), path)
    return path


def vrt(path: Path, task: str = "008_VRT_videodenoising_DAVIS") -> Path:
    """Write a VRT of an official task, as its makers store it, that returns its input: its last layer is zero."""
    from tapemill.enhance.vrt import VRT
    from tapemill.enhance.vrt.checkpoints import CHECKPOINTS

    torch.manual_seed(5)
    arguments = next(each.config for each in CHECKPOINTS if each.name == task)
    model = VRT(**arguments.as_mapping())
    with torch.no_grad():
        for parameter in model.conv_last.parameters():
            parameter.zero_()
    torch.save({"params": model.state_dict()}, path)
    return path


def network(path: Path, *, kind: Literal["frame", "vrt"] = "frame", scale: int = 1, **own: Any) -> dict[str, Any]:
    """Return a network as a step of a resolved chain."""
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return {"network": asdict(NetworkStep(path.name, kind, str(path), digest, scale, **own))}


def steps(*entries: str | dict[str, Any]) -> list[dict[str, Any]]:
    """Return a resolved chain of filters, by name, and networks."""
    return [entry if isinstance(entry, dict) else {"filter": entry, "own": {}} for entry in entries]

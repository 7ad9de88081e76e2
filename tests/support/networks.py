"""Small networks of random weights for tests and benchmarks, and chains that hold them."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from tapemill.enhance.chain import NetworkStep
from tapemill.models.torchvision_shim import make_importable


def compact(path, *, scale=1, gain=0.0, bias=0.0, features=8, layers=2):
    """A Compact network that adds `gain` of random structure, and `bias`, to the picture it gets."""
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


def vrt(path, task="008_VRT_videodenoising_DAVIS"):
    """A VRT of an official task, as its makers store it, that gives back what it gets: its last layer is zero."""
    from tapemill.enhance.vrt import VRT
    from tapemill.enhance.vrt.checkpoints import CHECKPOINTS

    torch.manual_seed(5)
    arguments = next(each.arguments for each in CHECKPOINTS if each.name == task)
    model = VRT(**arguments.as_mapping())
    with torch.no_grad():
        model.conv_last.weight.zero_()
        model.conv_last.bias.zero_()
    torch.save({"params": model.state_dict()}, path)
    return path


def network(path, *, kind="frame", scale=1, **own):
    """A step of a written-out chain."""
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return {"network": asdict(NetworkStep(path.name, kind, str(path), digest, scale, **own))}


def steps(*entries):
    """A written-out chain of filters, by name, and networks."""
    return [entry if isinstance(entry, dict) else {"filter": entry, "own": {}} for entry in entries]

"""Installed build of torch, detected without importing it: the GPU has to be chosen before that."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .device import SETUP_DEVICES, Kind


@dataclass(frozen=True)
class Build:
    """The installed build of torch."""

    version: str
    """Such as 2.13.0+xpu; empty if torch is not installed."""
    kinds: tuple[Kind, ...]
    """Kinds of GPU it supports; none for the CPU build."""


def install_remedy(kind: Kind) -> str:
    """Return how to install a torch for a kind of GPU."""
    return f"install torch for these GPUs with `make setup DEVICE={SETUP_DEVICES[kind]}` (README, Set-up for GPUs)"


def torch_build() -> Build:
    """Read the build from torch's own version file, which imports nothing."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return Build("", ())
    known = runpy.run_path(str(Path(spec.submodule_search_locations[0]) / "version.py"))
    kinds: tuple[Kind, ...] = ("xpu", "cuda", "hip")
    return Build(str(known["__version__"]), tuple(kind for kind in kinds if known.get(kind)))

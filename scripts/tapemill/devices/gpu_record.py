"""Record of this machine's GPUs, made by an unmasked process for the jobs to compare with."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tapemill.process.runtime_dirs import allocation, runtime_folder

from .device import Kind
from .enumerate import Gpu, enumerate_gpus
from .torch_build import torch_build

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def record_gpus(kind: Kind) -> list[Gpu]:
    """Enumerate the GPUs and record them for comparison by jobs. Raises SetupError."""
    gpus = enumerate_gpus(kind)
    values = {**_validity(), "cards": [gpu.to_plain() for gpu in gpus]}
    target = _record_path(kind)
    # Two runs may write at the same time.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as stream:
        json.dump(values, stream)
    Path(stream.name).replace(target)
    return gpus


def recorded_gpus(kind: Kind) -> list[Gpu] | None:
    """Read the GPUs recorded since boot with this torch; None if there is no such record."""
    try:
        values = json.loads(_record_path(kind).read_text(encoding="utf-8"))
        if any(values[name] != value for name, value in _validity().items()):
            return None
        return [Gpu.from_plain(gpu) for gpu in values["cards"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def known_gpus(kind: Kind) -> list[Gpu]:
    """Return the recorded GPUs, or enumerate them. Raises SetupError."""
    gpus = recorded_gpus(kind)
    return record_gpus(kind) if gpus is None else gpus


def _record_path(kind: Kind) -> Path:
    # A Slurm allocation may have other GPUs under the same numbers.
    return runtime_folder() / f"{'-'.join(filter(None, ['cards', kind, allocation()]))}.json"


def _validity() -> dict[str, str]:
    return {"boot": BOOT_ID.read_text(encoding="ascii").strip(), "torch": torch_build().version}

"""Loader of Whisper models, also for devices without double precision and sparse tensors."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapemill.core.errors import ModelError
from tapemill.devices.device import Device, dtype_for, open_device
from tapemill.devices.ipex import extension_version, optimise
from tapemill.devices.model_cache import load_verified
from tapemill.models import ModelFile
from tapemill.models.whisper_checkpoint import inspect_checkpoint

if TYPE_CHECKING:
    import torch

# openai-whisper's checkpoints hold two bytes for each number.
CHECKPOINT_BYTES = 2


def load_model(file: ModelFile, device: Device, *, headroom_bytes: int = 0) -> Any:
    """Load a Whisper model onto the device after checking its file's SHA-256. It stays loaded for later jobs.

    `headroom_bytes` is what working with it takes beside its weights. Raises ModelError if the file is not the pinned
    one, or no checkpoint in openai-whisper's format; SetupError if there is no such device.
    """
    target = open_device(device)
    dtype = dtype_for(device)
    return load_verified(
        "whisper",
        file,
        dtype,
        device,
        lambda: _load(file, device, target, dtype),
        need_bytes=weights_bytes(file.path, dtype),
        headroom_bytes=headroom_bytes,
    )


def weights_bytes(path: Path, dtype: torch.dtype) -> int:
    """Memory of the weights of a checkpoint in a number format."""
    try:
        with zipfile.ZipFile(path) as archive:
            stored = sum(item.file_size for item in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        # A checkpoint as torch wrote it before 1.6; any other file is refused when it is loaded.
        stored = path.stat().st_size if path.is_file() else 0
    return stored * dtype.itemsize // CHECKPOINT_BYTES


def _load(file: ModelFile, device: Device, target: torch.device, dtype: torch.dtype) -> Any:
    import torch
    import whisper

    # Whisper builds the network of the stated dimensions before it looks at the tensors.
    inspect_checkpoint(file.path)
    try:
        # An absolute path is never mistaken for a model's name, so nothing is downloaded. whisper loads weights_only.
        model = whisper.load_model(str(file.path.absolute()), device="cpu")
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise ModelError(
            f"the speech model cannot be loaded: {error}",
            file=file.path,
            tool="whisper",
            remedy="use a checkpoint in openai-whisper's format (.pt), not one of Hugging Face or faster-whisper",
        ) from error
    # whisper knows which attention heads follow the words of its own models, but only when loading them by name.
    for name, url in whisper._MODELS.items():
        if file.sha256 in url:
            model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name])
            break
    if target.type != "cpu":
        densify_alignment_heads(model)
        if dtype == torch.float16:
            to_half(model)
        model = model.to(target)
    if extension_version(device):
        to_plain_linear(model)
    return optimise(model, device)


def densify_alignment_heads(model: Any) -> None:
    """Make the alignment heads a plain attribute, which `to()` leaves on the CPU.

    They are a sparse buffer, and Intel's GPUs have no sparse tensors; only their indices are read, one by one.
    """
    heads = model.alignment_heads
    del model.alignment_heads
    model.alignment_heads = heads


def to_half(model: Any) -> None:
    """Store in half precision the weights that whisper uses in half precision.

    It keeps all weights in single precision and casts these layers' weights at each call: the numbers are the same,
    the memory is half. Its normalisation computes in single precision and stays.
    """
    import torch
    from whisper.model import Conv1d, Linear

    for module in model.modules():
        if isinstance(module, Conv1d | Linear | torch.nn.Embedding):
            module.half()


def to_plain_linear(model: Any) -> None:
    """Turn whisper's linear layers into torch's, which Intel's extension replaces by its own.

    whisper's cast their weights to the format of the input at each call. Here both have one format already, so the
    numbers are the same.
    """
    import torch
    from whisper.model import Linear

    for module in model.modules():
        if type(module) is Linear:
            module.__class__ = torch.nn.Linear


@contextmanager
def timing_on_cpu(model: Any) -> Iterator[None]:
    """Compute word times on the CPU, where whisper would do it on the GPU in double precision.

    `whisper.timing.dtw` calls `.double()` before `.cpu()`. From single to double precision nothing is lost, so the
    other way round the numbers are the same. On the CPU whisper does it already.
    """
    if model.device.type == "cpu":
        yield
        return
    from whisper import timing

    original = timing.dtw
    timing.dtw = lambda costs: original(costs.float().cpu())
    try:
        yield
    finally:
        timing.dtw = original

"""Inspection of checkpoints in openai-whisper's format, before anything of the stated size is built.

A checkpoint states its dimensions beside its tensors, and Whisper builds the network that they describe: each must be
the size of a tensor in the file, which bounds time and memory by the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.core.errors import ModelError

from .registry import Description
from .weights_io import check_sizes, load_content

if TYPE_CHECKING:
    from torch import Tensor

# Sizes of tensors that state each dimension: layer, axis.
SIZES: Final[Mapping[str, tuple[str, int]]] = {
    "n_mels": ("encoder.conv1.weight", 1),
    "n_audio_ctx": ("encoder.positional_embedding", 0),
    "n_audio_state": ("encoder.positional_embedding", 1),
    "n_vocab": ("decoder.token_embedding.weight", 0),
    "n_text_ctx": ("decoder.positional_embedding", 0),
    "n_text_state": ("decoder.positional_embedding", 1),
}
LAYERS: Final[Mapping[str, str]] = {"n_audio_layer": "encoder.blocks.", "n_text_layer": "decoder.blocks."}
HEADS: Final[Mapping[str, str]] = {"n_audio_head": "n_audio_state", "n_text_head": "n_text_state"}
# The demo's model is compressed, to a sixth of its size.
COMPRESSION: Final = 16
_OTHER_FORMAT: Final = "use a checkpoint in openai-whisper's format (.pt), not one of Hugging Face or faster-whisper"


def inspect_checkpoint(path: Path) -> Description:
    """Inspect a checkpoint. Raises ModelError for a file of another kind, and for dimensions that its tensors lack."""
    content = load_content(path, compression=COMPRESSION)
    if not isinstance(content, Mapping) or not {"dims", "model_state_dict"} <= set(content):
        raise _refused(path, "it holds no dimensions (`dims`) with a `model_state_dict`")
    dims, state = content["dims"], content["model_state_dict"]
    if not isinstance(dims, Mapping) or not isinstance(state, Mapping):
        raise _refused(path, "its `dims` or its `model_state_dict` is no table")
    check_sizes(state, path, compression=COMPRESSION)
    for fault in _faults(dims, state):
        raise _refused(path, fault)
    return Description("speech", None, f"Whisper, {dims['n_text_layer']} layers of {dims['n_text_state']}")


def _faults(dims: Mapping[Any, Any], state: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield what does not agree between the stated dimensions and the tensors."""
    names = {*SIZES, *LAYERS, *HEADS}
    if set(dims) != names:
        yield f"its dimensions are {', '.join(sorted(map(str, dims)))[:200]}"
    for name in sorted(names):
        if not isinstance(dims[name], int) or isinstance(dims[name], bool) or dims[name] < 1:
            yield f"its dimension {name} is {str(dims[name])[:40]!r}"
    for name, (layer, axis) in SIZES.items():
        shape = tuple(state[layer].shape) if layer in state else ()
        if axis >= len(shape) or shape[axis] != dims[name]:
            yield f"it states {name} = {dims[name]}, and {layer} has the shape {list(shape)}"
    for name, prefix in LAYERS.items():
        found = len({key.removeprefix(prefix).split(".", 1)[0] for key in state if key.startswith(prefix)})
        if found != dims[name]:
            yield f"it states {name} = {dims[name]}, and {found} layers of {prefix}* are there"
    for name, width in HEADS.items():
        if dims[width] % dims[name]:
            yield f"it states {name} = {dims[name]}, which does not divide {width} = {dims[width]}"


def _refused(path: Path, what: str) -> ModelError:
    return ModelError(f"the file is no speech model: {what}", file=path, remedy=_OTHER_FORMAT)

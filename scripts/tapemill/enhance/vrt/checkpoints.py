"""The nine official VRT tasks, and which of them a checkpoint is for.

Nothing here imports torch: of a checkpoint's tensors only the shapes are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import ModelError

from .config import VrtConfig

SEVEN: Final = range(1, 8)

_ENLARGE: Final = VrtConfig()
_RESTORE: Final = VrtConfig(
    upscale=1,
    img_size=(6, 192, 192),
    depths=(8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4),
    indep_reconsts=(9, 10),
    embed_dims=(96, 96, 96, 96, 96, 96, 96, 120, 120, 120, 120),
    num_heads=(6,) * 11,
)
_VIMEO: Final = replace(_ENLARGE, img_size=(8, 64, 64), window_size=(8, 8, 8), pa_frames=4)


@dataclass(frozen=True)
class Checkpoint:
    """What an official checkpoint was trained for."""

    name: str
    """Of the checkpoint, without ".pth"."""
    purpose: str
    arguments: VrtConfig


CHECKPOINTS: Final = (
    Checkpoint("001_VRT_videosr_bi_REDS_6frames", "4× enlargement", replace(_ENLARGE, deformable_groups=12)),
    Checkpoint(
        "002_VRT_videosr_bi_REDS_16frames",
        "4× enlargement",
        replace(_ENLARGE, img_size=(16, 64, 64), window_size=(8, 8, 8), pa_frames=6, deformable_groups=24),
    ),
    Checkpoint("003_VRT_videosr_bi_Vimeo_7frames", "4× enlargement", _VIMEO),
    Checkpoint("004_VRT_videosr_bd_Vimeo_7frames", "4× enlargement of blurred pictures", _VIMEO),
    Checkpoint("005_VRT_videodeblurring_DVD", "deblurring", _RESTORE),
    Checkpoint("006_VRT_videodeblurring_GoPro", "deblurring", _RESTORE),
    Checkpoint("007_VRT_videodeblurring_REDS", "deblurring", _RESTORE),
    Checkpoint("008_VRT_videodenoising_DAVIS", "denoising", replace(_RESTORE, nonblind_denoising=True)),
    Checkpoint(
        "009_VRT_videofi_Vimeo_4frames",
        "the frame in the middle of four",
        replace(_RESTORE, img_size=(4, 192, 192), window_size=(4, 8, 8), indep_reconsts=(), pa_frames=0),
    ),
)


@dataclass(frozen=True)
class CheckpointFamily:
    """The tasks that a state dict can be for: some have the same names and shapes throughout."""

    tasks: tuple[Checkpoint, ...]

    @property
    def arguments(self) -> VrtConfig:
        """What to build the network from."""
        return self.tasks[0].arguments


@dataclass(frozen=True)
class _Signature:
    """What tells the families apart."""

    channels_in: int
    widths: tuple[int, int]
    window_tokens: tuple[int, ...]
    """Of the seven stages' second groups and of the last groups."""
    neighbours: int
    deformable_groups: int
    enlarging_layers: int
    channels_out: int

    @classmethod
    def of_arguments(cls, given: VrtConfig) -> _Signature:
        frames, rows, columns = given.window_size
        last = range(len(SEVEN), len(given.depths))
        whole = frames * rows * columns
        windows = [whole] * len(SEVEN) + [rows * columns if i in given.indep_reconsts else whole for i in last]
        return cls(
            channels_in=given.channels_in + 8 * given.in_chans * bool(given.pa_frames),
            widths=(given.embed_dims[0], given.embed_dims[-1]),
            window_tokens=tuple(windows),
            neighbours=given.neighbours,
            deformable_groups=given.deformable_groups if given.pa_frames else 0,
            enlarging_layers=given.upscale.bit_length() if given.upscale > 1 else 0,
            channels_out=given.out_chans,
        )

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> _Signature:
        """Raises KeyError for a name, and IndexError for a dimension, that every VRT has."""
        width = state["conv_first.weight"].shape[0]
        index = "blocks.0.attn.relative_position_index"
        names = [f"stage{number}.residual_group2.{index}" for number in SEVEN]
        groups = sum(1 for name in state if name.startswith("stage8.") and name.endswith(".linear.weight"))
        names += [f"stage8.{number}.residual_group.{index}" for number in range(1, groups + 1)]
        guides, offsets = (state.get(f"stage1.pa_deform.conv_offset.{layer}.weight") for layer in (0, 6))
        return cls(
            channels_in=state["conv_first.weight"].shape[1],
            widths=(width, state["norm.weight"].shape[0]),
            window_tokens=tuple(state[name].shape[0] for name in names),
            # A guide has the features of frame and neighbours, and two coordinates a neighbour.
            neighbours=0 if guides is None else (guides.shape[1] - width) // (width + 2),
            deformable_groups=0 if offsets is None else offsets.shape[0] // 27,
            enlarging_layers=sum(1 for name in state if name.startswith("upsample.") and name.endswith(".weight")),
            channels_out=state["conv_last.weight"].shape[0],
        )

    def __str__(self) -> str:
        tokens = "/".join(map(str, sorted(set(self.window_tokens))))
        return (
            f"{self.channels_in} channels into the first layer, widths {self.widths[0]} and {self.widths[1]}, "
            f"windows of {tokens} tokens, {len(self.window_tokens) - len(SEVEN)} last groups, "
            f"{2 * self.neighbours} warped frames in {self.deformable_groups} deformable groups, "
            f"{self.enlarging_layers} enlarging layers, {self.channels_out} channels out"
        )


def state_dict_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict of a checkpoint, which may be wrapped."""
    inner = checkpoint.get("params")
    return inner if isinstance(inner, Mapping) else checkpoint


def identify_checkpoint(state: Mapping[str, Any], file: Path | str | None = None) -> CheckpointFamily:
    """The family of a state dict. Raises ModelError, naming what was found, if it is that of no official task."""
    known: dict[_Signature, list[Checkpoint]] = {}
    for task in CHECKPOINTS:
        known.setdefault(_Signature.of_arguments(task.arguments), []).append(task)
    try:
        found = _Signature.of_state(state)
    except (KeyError, IndexError) as error:
        raise ModelError(
            f"this is no VRT checkpoint: {_lack(error, state)}",
            file=file,
            remedy="name a checkpoint of one of the nine official VRT tasks, or give another kind of model as `frame`",
        ) from None
    if found not in known:
        raise ModelError(
            f"this VRT is of none of the nine official tasks; it has {found}",
            file=file,
            remedy="take the checkpoint of an official task: " + ", ".join(task.name for task in CHECKPOINTS),
        )
    return CheckpointFamily(tuple(known[found]))


def _lack(error: Exception, state: Mapping[str, Any]) -> str:
    first = ", ".join(list(state)[:3]) or "nothing"
    lack = f"it has no {error.args[0]}" if isinstance(error, KeyError) else "its tensors have other dimensions"
    return f"{lack}; it begins with {first}"

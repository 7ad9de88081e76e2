"""The nine official VRT checkpoints, and the identification of a checkpoint by its shapes.

Nothing here imports torch: only the shapes of a checkpoint's tensors are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import ModelError

from .config import VrtConfig

BODY_STAGES: Final = range(1, 8)

_UPSCALE: Final = VrtConfig()
_RESTORE: Final = VrtConfig(
    upscale=1,
    img_size=(6, 192, 192),
    depths=(8, 8, 8, 8, 8, 8, 8, 4, 4, 4, 4),
    indep_reconsts=(9, 10),
    embed_dims=(96, 96, 96, 96, 96, 96, 96, 120, 120, 120, 120),
    num_heads=(6,) * 11,
)
_VIMEO: Final = replace(_UPSCALE, img_size=(8, 64, 64), window_size=(8, 8, 8), pa_frames=4)


@dataclass(frozen=True)
class Checkpoint:
    """Official checkpoint: its task and configuration."""

    name: str
    """File name without ".pth"."""
    purpose: str
    config: VrtConfig


CHECKPOINTS: Final = (
    Checkpoint("001_VRT_videosr_bi_REDS_6frames", "4× upscaling", replace(_UPSCALE, deformable_groups=12)),
    Checkpoint(
        "002_VRT_videosr_bi_REDS_16frames",
        "4× upscaling",
        replace(_UPSCALE, img_size=(16, 64, 64), window_size=(8, 8, 8), pa_frames=6, deformable_groups=24),
    ),
    Checkpoint("003_VRT_videosr_bi_Vimeo_7frames", "4× upscaling", _VIMEO),
    Checkpoint("004_VRT_videosr_bd_Vimeo_7frames", "4× upscaling of blurred video", _VIMEO),
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
    """Checkpoints that a state dict can be: some have the same names and shapes throughout."""

    checkpoints: tuple[Checkpoint, ...]

    @property
    def config(self) -> VrtConfig:
        """Configuration of the network."""
        return self.checkpoints[0].config


@dataclass(frozen=True)
class _Signature:
    """Shapes that distinguish the families."""

    channels_in: int
    widths: tuple[int, int]
    window_tokens: tuple[int, ...]
    """Of the seven stages' second groups and of the last groups."""
    neighbours: int
    deformable_groups: int
    upscaling_layers: int
    channels_out: int

    @classmethod
    def of_config(cls, config: VrtConfig) -> _Signature:
        frames, rows, columns = config.window_size
        last = range(len(BODY_STAGES), len(config.depths))
        whole = frames * rows * columns
        windows = [whole] * len(BODY_STAGES) + [rows * columns if i in config.indep_reconsts else whole for i in last]
        return cls(
            channels_in=config.channels_in + 8 * config.in_chans * bool(config.pa_frames),
            widths=(config.embed_dims[0], config.embed_dims[-1]),
            window_tokens=tuple(windows),
            neighbours=config.neighbours,
            deformable_groups=config.deformable_groups if config.pa_frames else 0,
            upscaling_layers=config.upscale.bit_length() if config.upscale > 1 else 0,
            channels_out=config.out_chans,
        )

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> _Signature:
        """From a state dict. Raises KeyError for a missing name, IndexError for a missing dimension."""
        width = state["conv_first.weight"].shape[0]
        index = "blocks.0.attn.relative_position_index"
        names = [f"stage{number}.residual_group2.{index}" for number in BODY_STAGES]
        groups = sum(1 for name in state if name.startswith("stage8.") and name.endswith(".linear.weight"))
        names += [f"stage8.{number}.residual_group.{index}" for number in range(1, groups + 1)]
        guides, offsets = (state.get(f"stage1.pa_deform.conv_offset.{layer}.weight") for layer in (0, 6))
        return cls(
            channels_in=state["conv_first.weight"].shape[1],
            widths=(width, state["norm.weight"].shape[0]),
            window_tokens=tuple(state[name].shape[0] for name in names),
            # The guides have the features of frame and neighbours, and two coordinates per neighbour.
            neighbours=0 if guides is None else (guides.shape[1] - width) // (width + 2),
            deformable_groups=0 if offsets is None else offsets.shape[0] // 27,
            upscaling_layers=sum(1 for name in state if name.startswith("upsample.") and name.endswith(".weight")),
            channels_out=state["conv_last.weight"].shape[0],
        )

    def __str__(self) -> str:
        tokens = "/".join(map(str, sorted(set(self.window_tokens))))
        return (
            f"{self.channels_in} channels into the first layer, widths {self.widths[0]} and {self.widths[1]}, "
            f"windows of {tokens} tokens, {len(self.window_tokens) - len(BODY_STAGES)} last groups, "
            f"{2 * self.neighbours} warped frames in {self.deformable_groups} deformable groups, "
            f"{self.upscaling_layers} upscaling layers, {self.channels_out} channels out"
        )


def state_dict_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Unwrap the state dict of a checkpoint."""
    inner = checkpoint.get("params")
    return inner if isinstance(inner, Mapping) else checkpoint


def identify_checkpoint(state: Mapping[str, Any], file: Path | str | None = None) -> CheckpointFamily:
    """Identify the family of a state dict. Raises ModelError, with the shapes found, if it is not an official one."""
    known: dict[_Signature, list[Checkpoint]] = {}
    for checkpoint in CHECKPOINTS:
        known.setdefault(_Signature.of_config(checkpoint.config), []).append(checkpoint)
    try:
        found = _Signature.of_state(state)
    except (KeyError, IndexError) as error:
        raise ModelError(
            f"this is not a VRT checkpoint: {_difference(error, state)}",
            file=file,
            remedy="use a checkpoint of one of the nine official VRT tasks, or add another kind of model as `frame`",
        ) from None
    if found not in known:
        raise ModelError(
            f"this VRT is not one of the nine official checkpoints; it has {found}",
            file=file,
            remedy="use an official checkpoint: " + ", ".join(each.name for each in CHECKPOINTS),
        )
    return CheckpointFamily(tuple(known[found]))


def _difference(error: Exception, state: Mapping[str, Any]) -> str:
    first = ", ".join(list(state)[:3]) or "nothing"
    difference = f"it has no {error.args[0]}" if isinstance(error, KeyError) else "its tensors have other dimensions"
    return f"{difference}; it begins with {first}"

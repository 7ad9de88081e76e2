"""Tiled inference: running a network over a scene in windows of frames and tiles of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapemill.core.errors import GateError, SceneError

from .tiling import Blend, Tile, padded_length, reflected_indices, split_overlapping

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# An input with a lower mean in [0, 1] counts as black.
BLACK = 4 / 255
# An output with less than this share of the input's mean has lost the image.
LEAST_LIGHT = 1 / 8


class HalfPrecisionOverflow(ArithmeticError):
    """Raised when half precision overflows in a scene."""


@dataclass(frozen=True)
class MemoryNeed:
    """Memory of one run, without the weights."""

    bytes: int
    largest_tensor_bytes: int


@dataclass(frozen=True)
class Network:
    """Loaded network: its properties and one function."""

    name: str
    scale: int
    multiple: int
    """The sides of its input must be multiples of this."""
    least_side: int
    least_frames: int
    window_frames: int
    """Length of its temporal windows: the number of frames is best a multiple of it."""
    margin: int
    """Samples of padding on all sides, cropped from the result: networks assume black beyond their input, which spoils
    the samples next to it."""
    can_tile: bool
    """Whether it uses only the neighbourhood of each sample, so that images may be split into tiles."""
    device: torch.device
    dtype: torch.dtype
    run: Callable[[Tensor], Tensor]
    """From (frames, 3, height, width) to (frames, 3, height·scale, width·scale), RGB around [0, 1]."""
    need: Callable[[int, int, int], MemoryNeed] | None = None
    """Memory need for a number of frames, lines and samples; None if it has to be measured."""


@dataclass(frozen=True)
class Tiling:
    """Size of the windows and tiles that a network runs on."""

    frames: int
    overlap_frames: int
    side: int | None
    """Largest side of a tile, in samples of the input; None: whole images."""
    overlap: int
    blend: Blend = "smooth"

    @property
    def name(self) -> str:
        """Name in the log."""
        tile = "whole frames" if self.side is None else f"tiles of {self.side} × {self.side}"
        return tile if self.frames == 1 else f"{tile}, {self.frames} frames"


def run_windowed(frames: Iterator[Tensor], count: int, network: Network, tiling: Tiling) -> Iterator[Tensor]:
    """Yield the `count` frames of the network's output as they are finished; at most two windows are in memory.

    Frames are tensors (3, height, width) on the network's device. Windows overlap in time and are blended there; a
    scene shorter than the network needs is reflected at its end. Raises SceneError if the result is not an image,
    HalfPrecisionOverflow if half precision is the cause, GateError if frames are missing.
    """
    size = min(tiling.frames, count)
    plan = split_overlapping(count, size, min(tiling.overlap_frames, size - 1), blend=tiling.blend, frames=True)
    held: dict[int, Tensor] = {}
    blended: dict[int, Tensor] = {}
    read = 0
    for part, next_part in zip(plan, [*plan[1:], None], strict=True):
        for index in range(read, part.stop):
            held[index] = _next(frames, index, count).to(network.dtype)
        read = part.stop
        window = _window([held[index] for index in range(part.start, part.stop)], network, tiling)
        done = next_part.start if next_part else count
        for index, image, weight in zip(range(part.start, part.stop), window, part.weights, strict=True):
            share = image if weight == 1 else image * weight
            blended[index] = blended[index] + share if index in blended else share
            if index < done:
                yield blended.pop(index)
        held = {index: frame for index, frame in held.items() if index >= done}


def _next(frames: Iterator[Tensor], index: int, count: int) -> Tensor:
    frame = next(frames, None)
    if frame is None:
        raise GateError(
            f"the scene ends after {index} of {count} frames",
            remedy="the cut scene is damaged: delete it and run again",
        )
    return frame


def _window(frames: list[Tensor], network: Network, tiling: Tiling) -> Tensor:
    import torch

    indices = reflected_indices(len(frames), max(len(frames), network.least_frames))
    with torch.inference_mode():
        clip = torch.stack([frames[index] for index in indices])
        result = run_tiled(clip, network, tiling)
        _check(clip, result, network)
    return result[: len(frames)]


def run_tiled(clip: Tensor, network: Network, tiling: Tiling) -> Tensor:
    """Run the network on a clip (frames, 3, height, width) in blended tiles; the result is float32.

    Images are padded by reflection: by the network's margin, and to sides that it accepts.
    """
    import torch

    top, left = (network.margin * network.scale,) * 2
    height, width = (side * network.scale for side in clip.shape[-2:])
    clip = _pad_reflect(clip, network, repeat_edge=tiling.blend == "plain")
    rows, columns = (_tiles(length, network, tiling) for length in clip.shape[-2:])
    if len(rows) == len(columns) == 1:
        result = network.run(clip).float()
    else:
        scale = network.scale
        shape = (len(clip), 3, clip.shape[-2] * scale, clip.shape[-1] * scale)
        result = torch.zeros(shape, device=clip.device, dtype=torch.float32)
        for row in rows:
            for column in columns:
                tile = network.run(clip[..., row.start : row.stop, column.start : column.stop].contiguous())
                weights = _weights(row, tile)[:, None] * _weights(column, tile)
                result[:, :, _scaled(row, scale), _scaled(column, scale)] += tile.float() * weights
    return result[..., top : top + height, left : left + width]


def _pad_reflect(clip: Tensor, network: Network, *, repeat_edge: bool) -> Tensor:
    import torch

    for axis in (-2, -1):
        length = clip.shape[axis]
        wanted = padded_length(length + 2 * network.margin, multiple=network.multiple, least=network.least_side)
        if wanted != length:
            after = reflected_indices(length, wanted - network.margin, repeat_edge=repeat_edge)
            before = reflected_indices(length, network.margin + 1, repeat_edge=repeat_edge)[:0:-1]
            indices = [*before, *after]
            clip = clip.index_select(axis, torch.tensor(indices, device=clip.device))
    return clip


def _tiles(length: int, network: Network, tiling: Tiling) -> tuple[Tile, ...]:
    side = length if tiling.side is None else min(tiling.side, length)
    return split_overlapping(length, side, min(tiling.overlap, side // 2), scale=network.scale, blend=tiling.blend)


def _weights(part: Tile, like: Tensor) -> Tensor:
    import torch

    return torch.tensor(part.weights, device=like.device, dtype=torch.float32)


def _scaled(part: Tile, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)


def _check(clip: Tensor, result: Tensor, network: Network) -> None:
    """Check that a result is finite and not black, with one transfer from the GPU per window."""
    import torch

    before, after = clip.float().mean((1, 2, 3)), result.mean((1, 2, 3))
    black = (before > BLACK) & (after < LEAST_LIGHT * before)
    finite, dark = torch.stack([torch.isfinite(result).all(), black.any()]).tolist()
    if not finite and network.dtype != torch.float32:
        raise HalfPrecisionOverflow(network.name)
    if not finite or dark:
        what = "black frames from an input that is not black" if finite else "values that are not finite"
        raise SceneError(
            f"the network {network.name} made {what}",
            remedy="set another model in enhance: chain, or network_precision: fp32; for only this scene in the table "
            "that enhance: overrides names",
        )

"""What a network is to the engine, and its way through a scene: windows of frames, tiles of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapemill.core.errors import GateError, SceneError

from .tiling import Blend, Tile, padded_length, reflected_indices, split_overlapping

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# A picture darker than this, as the mean over [0, 1], counts as black itself.
BLACK = 4 / 255
# A network that leaves less than this share of the light shows nothing of the picture any more.
LEAST_LIGHT = 1 / 8


class HalfPrecisionOverflow(ArithmeticError):
    """Half precision was not enough for this scene."""


@dataclass(frozen=True)
class MemoryNeed:
    """Memory for one run, beside the weights."""

    bytes: int
    largest_tensor_bytes: int


@dataclass(frozen=True)
class Network:
    """A loaded network, as data and one function."""

    name: str
    scale: int
    multiple: int
    """What the sides of its input must be multiples of."""
    least_side: int
    least_frames: int
    window_frames: int
    """Frames that look at each other: it is best given a multiple of it."""
    margin: int
    """Samples by which pictures are continued on all sides, and the result is cut again: beyond its input a network
    sees black, and that spoils what is next to it."""
    can_tile: bool
    """Whether it sees only the neighbourhood of each sample, so that a picture may be cut into tiles."""
    device: torch.device
    dtype: torch.dtype
    run: Callable[[Tensor], Tensor]
    """From (frames, 3, height, width) to (frames, 3, height·scale, width·scale), RGB around [0, 1]."""
    need: Callable[[int, int, int], MemoryNeed] | None = None
    """What it takes for so many frames, lines and samples; None if only measuring can tell."""


@dataclass(frozen=True)
class Tiling:
    """How much a network sees at a time."""

    frames: int
    overlap_frames: int
    side: int | None
    """Largest side of a tile, in samples of the input; None for whole pictures."""
    overlap: int
    blend: Blend = "smooth"

    @property
    def name(self) -> str:
        """As it is logged."""
        tile = "whole pictures" if self.side is None else f"tiles of {self.side} × {self.side}"
        return tile if self.frames == 1 else f"{tile}, {self.frames} frames"


def run_windowed(frames: Iterator[Tensor], count: int, network: Network, tiling: Tiling) -> Iterator[Tensor]:
    """The `count` frames after the network, each as soon as it is finished; no more than two windows are held.

    Frames are tensors (3, height, width) on the network's device. Windows overlap in time and are blended there; a
    scene shorter than the network needs is reflected at its end. Raises SceneError if the result is no picture,
    Overflow if half precision is to blame, GateError if frames are missing.
    """
    size = min(tiling.frames, count)
    plan = split_overlapping(count, size, min(tiling.overlap_frames, size - 1), blend=tiling.blend, frames=True)
    held: dict[int, Tensor] = {}
    blended: dict[int, Tensor] = {}
    read = 0
    for part, after in zip(plan, [*plan[1:], None], strict=True):
        for place in range(read, part.stop):
            held[place] = _next(frames, place, count).to(network.dtype)
        read = part.stop
        window = _window([held[place] for place in range(part.start, part.stop)], network, tiling)
        done = after.start if after else count
        for place, picture, weight in zip(range(part.start, part.stop), window, part.weights, strict=True):
            share = picture if weight == 1 else picture * weight
            blended[place] = blended[place] + share if place in blended else share
            if place < done:
                yield blended.pop(place)
        held = {place: frame for place, frame in held.items() if place >= done}


def _next(frames: Iterator[Tensor], place: int, count: int) -> Tensor:
    frame = next(frames, None)
    if frame is None:
        raise GateError(
            f"the scene ends after {place} of {count} frames",
            remedy="the cut scene is damaged: delete it and run again",
        )
    return frame


def _window(frames: list[Tensor], network: Network, tiling: Tiling) -> Tensor:
    import torch

    enough = reflected_indices(len(frames), max(len(frames), network.least_frames))
    with torch.inference_mode():
        clip = torch.stack([frames[place] for place in enough])
        result = run_tiled(clip, network, tiling)
        _check(clip, result, network)
    return result[: len(frames)]


def run_tiled(clip: Tensor, network: Network, tiling: Tiling) -> Tensor:
    """The network's result for a clip (frames, 3, height, width), float32, computed in tiles that are blended.

    Pictures are continued by reflection, by the network's margin and to sides that it takes.
    """
    import torch

    top, left = (network.margin * network.scale,) * 2
    height, width = (side * network.scale for side in clip.shape[-2:])
    clip = _continued(clip, network, repeat_edge=tiling.blend == "plain")
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
                place = (_scaled(row, scale), _scaled(column, scale))
                result[:, :, place[0], place[1]] += tile.float() * weights
    return result[..., top : top + height, left : left + width]


def _continued(clip: Tensor, network: Network, *, repeat_edge: bool) -> Tensor:
    import torch

    for axis in (-2, -1):
        length = clip.shape[axis]
        wanted = padded_length(length + 2 * network.margin, multiple=network.multiple, least=network.least_side)
        if wanted != length:
            after = reflected_indices(length, wanted - network.margin, repeat_edge=repeat_edge)
            before = reflected_indices(length, network.margin + 1, repeat_edge=repeat_edge)[:0:-1]
            places = [*before, *after]
            clip = clip.index_select(axis, torch.tensor(places, device=clip.device))
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
    """One question to the card for each window: whether all is finite, and whether light is left where it was."""
    import torch

    before, after = clip.float().mean((1, 2, 3)), result.mean((1, 2, 3))
    black = (before > BLACK) & (after < LEAST_LIGHT * before)
    finite, dark = torch.stack([torch.isfinite(result).all(), black.any()]).tolist()
    if not finite and network.dtype != torch.float32:
        raise HalfPrecisionOverflow(network.name)
    if not finite or dark:
        what = "black frames where there was a picture" if finite else "values that are no numbers"
        raise SceneError(
            f"the network {network.name} made {what}",
            remedy="set another model in enhance: chain, or network_precision: fp32; for this scene alone in the table "
            "that enhance: overrides names",
        )

"""How much of a scene a network can see at a time with the memory there is: larger tiles and more frames first."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

from tapemill.devices import model_cache
from tapemill.devices.device import Device
from tapemill.devices.memory import peak_bytes, reset_peak, synchronize, used_bytes
from tapemill.devices.memory_planner import ActivationCache, Candidate, MemoryPlan, first_that_fits
from tapemill.enhance.chain import NetworkStep

from .tiled_inference import MemoryNeed, Network, Tiling
from .tiling import padded_length

LOG = logging.getLogger("tapemill.enhance")

# Sides of tiles, all multiples of what any known network takes.
SIDES: Final = (1024, 768, 512, 384, 256, 192, 128)
VRT_LARGEST_SIDE: Final = 256
VRT_OVERLAP_FRAMES: Final = 2
# Beyond this distance networks hardly look; official figures are 20 for VRT and 10 to 32 for others.
OVERLAP: Final = 32
# A tile on which a network that was never run on this kind of device is measured.
TRIAL_SIDE: Final = 128


def plan_tiles(
    network: Network, step: NetworkStep, size: tuple[int, int], count: int, largest_side: int | None, device: Device
) -> MemoryPlan[Tiling]:
    """The largest way to see a scene of `count` pictures of `size` (width, height) that there is memory for.

    Raises OutOfMemory if nothing will ever fit.
    """
    need = network.need or _measured(network, step, device)
    ladder = [
        Candidate(f"{step.model} on {tiling.name}", tiling, *_cost(network, tiling, size, need))
        for tiling in _ways(network, step, size, count, largest_side)
    ]
    return first_that_fits(ladder, device, model_cache.headroom_bytes(device))


def _ways(
    network: Network, step: NetworkStep, size: tuple[int, int], count: int, largest_side: int | None
) -> Iterator[Tiling]:
    """From what is best to what needs least. With frames to choose, smaller tiles come before fewer frames."""
    limit = min(largest_side or max(size), max(size))
    if step.kind == "vrt":
        limit = min(limit, VRT_LARGEST_SIDE)
    sides: list[int | None] = [None] if limit == max(size) and step.kind == "frame" else []
    if network.can_tile:
        smaller = [side for side in SIDES if side < limit]
        tiles = smaller if sides else [limit, *smaller]
        sides += dict.fromkeys(
            padded_length(side, multiple=network.multiple, least=network.least_side) for side in tiles
        )
    # Two of VRT's windows of time see across one border; more cost memory and show it little.
    lengths = [1] if step.kind == "frame" else [step.frames or times * network.window_frames for times in (2, 1)]
    for length in dict.fromkeys(max(min(length, count), network.least_frames) for length in lengths):
        for side in sides or [None]:
            overlap_frames = min(VRT_OVERLAP_FRAMES, length - 1)
            yield Tiling(length, overlap_frames, side, OVERLAP, step.blend)


def _cost(network: Network, tiling: Tiling, size: tuple[int, int], need: Any) -> tuple[int, int]:
    """Bytes of the whole, and of the largest tensor: what a tile takes, and the window it belongs to."""
    width, height = (
        padded_length(side + 2 * network.margin, multiple=network.multiple, least=network.least_side) for side in size
    )
    tile: MemoryNeed = need(tiling.frames, *(min(side, tiling.side or side) for side in (height, width)))
    frame = 3 * width * height
    # A window goes in as the network computes, comes out in single precision, is blended, and the next is being read.
    window = tiling.frames * frame * (2 * network.dtype.itemsize + 2 * 4 * network.scale**2)
    return tile.bytes + window, max(tile.largest_tensor_bytes, tiling.frames * frame * 4 * network.scale**2)


def _measured(network: Network, step: NetworkStep, device: Device) -> Any:
    """What a frame model needs for a tile: what it took for a small one, now or in an earlier job, by area."""
    key = ActivationCache.key(step.sha256, device, str(network.dtype), f"tile of {TRIAL_SIDE}")
    if ActivationCache().bytes_of(key) is None:
        ActivationCache().add(key, _trial(network, device))
    taken = ActivationCache().bytes_of(key) or _trial(network, device)

    def need(frames: int, height: int, width: int) -> MemoryNeed:
        total = taken * frames * height * width // TRIAL_SIDE**2
        # Of what a network holds at a time, a layer's input and its output are the least.
        return MemoryNeed(total, total // 2)

    return need


def _trial(network: Network, device: Device) -> int:
    import torch

    clip = torch.zeros((1, 3, TRIAL_SIDE, TRIAL_SIDE), device=network.device, dtype=network.dtype)
    reset_peak(device)
    before = used_bytes(device)
    with torch.inference_mode():
        network.run(clip)
    synchronize(device)
    return max(peak_bytes(device) - before, clip.nbytes)

"""Pipeline of a scene through the networks of its chain: one ffmpeg before them, one after, all concurrently."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tapemill.core.errors import SceneError
from tapemill.core.progress import Progress
from tapemill.devices.determinism import seeded, torch_threads
from tapemill.devices.device import Device
from tapemill.enhance.chain import NetworkStep
from tapemill.enhance.encoders import argument_labels
from tapemill.enhance.filters.graph import NETWORK_FORMAT, SceneGraphInput, after_networks, before_networks
from tapemill.media import ffmpeg
from tapemill.media.ffmpeg.command import redact_paths
from tapemill.records.clip import NetworkRun
from tapemill.records.common import Rejection

from .frame_io import prefetch, read_frames, write_all
from .loader import load_network
from .tile_planner import plan_tiles
from .tiled_inference import HalfPrecisionOverflow, Network, Tiling, run_windowed

if TYPE_CHECKING:
    from torch import Tensor

LOG = logging.getLogger("tapemill.enhance")

SEED = 0


@dataclass(frozen=True)
class LoadedNetwork:
    """Network of a step with the tiling chosen for the scene."""

    step: NetworkStep
    network: Network
    tiling: Tiling
    decisions: tuple[Rejection, ...]

    def record(self) -> NetworkRun:
        """Entry of the record."""
        return NetworkRun(
            model=self.step.model,
            sha256=self.step.sha256,
            scale=self.network.scale,
            strength=self.step.strength,
            precision=str(self.network.dtype).removeprefix("torch."),
            frames=self.tiling.frames,
            tile_samples=self.tiling.side,
            seed=SEED,
            lowered=self.decisions,
        )


def restore(
    clip: Path,
    partial: Path,
    scene: SceneGraphInput,
    *,
    frames: int,
    encoding: Sequence[str],
    device: Device,
    device_arguments: Sequence[str],
    timeout_s: float,
    max_output_bytes: int,
) -> tuple[tuple[NetworkRun, ...], tuple[str, ...]]:
    """Run the scene of `clip` (`frames` frames) through its chain and encode it to `partial`.

    `encoding` are the ffmpeg arguments of the encoder, `device_arguments` those that put it on the GPU. A scene that
    overflows in half precision is repeated in single precision. Returns the entries of the record on the networks, and
    the commands of ffmpeg before and after them. Raises SceneError if a network does not return an image, and the
    errors of `load_network` and ffmpeg.
    """
    for single in (False, True):
        with torch_threads(scene.settings.encoder_threads), seeded(device, SEED, deterministic=device.kind == "cpu"):
            networks = _load_and_plan(scene, frames, device, single=single)
            try:
                commands = _stream(
                    clip, partial, scene, networks, frames, encoding, device_arguments, timeout_s, max_output_bytes
                )
            except HalfPrecisionOverflow as overflow:
                LOG.warning("%s overflows in half precision, repeating the scene in single precision", overflow)
                continue
            return tuple(each.record() for each in networks), tuple(commands)
    raise SceneError(
        "the networks overflow even in single precision",
        file=clip,
        remedy="set another model in enhance: chain; for only this scene in the table that enhance: overrides names",
    )


def _load_and_plan(scene: SceneGraphInput, frames: int, device: Device, *, single: bool) -> list[LoadedNetwork]:
    """Load all networks and plan their tiles before the first frame is read; each gets the output of the one before."""
    loaded = []
    width, height = scene.crop.width, scene.crop.height
    for step in scene.chain.networks:
        network = load_network(step, scene.settings, device, single=single)
        choice = plan_tiles(
            network, step, (width, height), scene.frames_in_chain(frames), scene.settings.network_tile_samples, device
        )
        loaded.append(LoadedNetwork(step, network, choice.candidate.value, choice.rejections))
        width, height = width * step.scale, height * step.scale
    return loaded


def _stream(
    clip: Path,
    partial: Path,
    scene: SceneGraphInput,
    networks: Sequence[LoadedNetwork],
    frames: int,
    encoding: Sequence[str],
    device_arguments: Sequence[str],
    timeout_s: float,
    max_output_bytes: int,
) -> list[str]:
    width, height = scene.crop.width, scene.crop.height
    count = scene.frames_in_chain(frames)
    scale = scene.chain.scale
    rate = str(scene.chain_rate)
    decoding = [
        *ffmpeg.input_args(clip, options=("-threads", "1", "-r", str(scene.picture.rate))),
        *("-map", "0:v:0", "-filter_threads", "1", "-vf", ",".join(before_networks(scene))),
        *("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", NETWORK_FORMAT, "pipe:1"),
    ]
    encode = [
        *device_arguments,
        *("-f", "rawvideo", "-pixel_format", NETWORK_FORMAT, "-video_size", f"{width * scale}x{height * scale}"),
        *("-framerate", rate, "-i", "pipe:0", "-filter_threads", "1", "-vf", ",".join(after_networks(scene))),
        *("-fps_mode", "passthrough", *encoding, *ffmpeg.output_args(partial, "matroska")),
    ]
    with (
        ffmpeg.pipe_out(decoding, concerns=clip, timeout_s=timeout_s, forbidden=ffmpeg.CUT_DAMAGE) as source,
        ffmpeg.pipe_in(encode, concerns=clip, timeout_s=timeout_s, max_output_bytes=max_output_bytes) as sink,
    ):
        images = prefetch(read_frames(source, width, height, count, networks[0].network.device))
        for each in networks:
            images = _blend_with_source(images, count, each)
        repeats = 2 if scene.repeats_frames else 1
        write_all(Progress(count * repeats).counting(images, repeats), sink)
    labels = argument_labels(clip, partial, device_arguments)
    return [redact_paths(arguments, labels) for arguments in (decoding, encode)]


def _blend_with_source(images: Iterator[Tensor], count: int, loaded: LoadedNetwork) -> Iterator[Tensor]:
    """Run the network, and blend its output with its input if its strength is below 1."""
    strength = loaded.step.strength
    if strength == 1:
        return run_windowed(images, count, loaded.network, loaded.tiling)
    return _blended(images, count, loaded)


def _blended(images: Iterator[Tensor], count: int, loaded: LoadedNetwork) -> Iterator[Tensor]:
    from torch.nn.functional import interpolate

    waiting: deque[Tensor] = deque()

    def remembered() -> Iterator[Tensor]:
        for image in images:
            waiting.append(image)
            yield image

    scale, strength = loaded.network.scale, loaded.step.strength
    for result in run_windowed(remembered(), count, loaded.network, loaded.tiling):
        before = waiting.popleft()[None].float()
        if scale > 1:
            before = interpolate(before, scale_factor=scale, mode="bicubic", align_corners=False)
        yield result.lerp(before[0], 1 - strength)

"""A scene through the networks of its chain: one ffmpeg before them, one after, everything at the same time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapemill.core.errors import SceneError
from tapemill.core.progress import Progress
from tapemill.devices.determinism import seeded, torch_threads
from tapemill.devices.device import Device
from tapemill.devices.memory_planner import Rejection
from tapemill.enhance.chain import NetworkStep
from tapemill.enhance.encoders import argument_labels
from tapemill.enhance.filters.graph import NETWORK_FORMAT, SceneGraphInput, after_networks, before_networks
from tapemill.media import ffmpeg
from tapemill.media.ffmpeg.command import redact_paths

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
    """A network with its way to see the scene."""

    step: NetworkStep
    network: Network
    tiling: Tiling
    decisions: Sequence[Rejection]

    def to_plain(self) -> dict[str, Any]:
        """What the record says of it."""
        plain: dict[str, Any] = {
            "model": self.step.model,
            "sha256": self.step.sha256,
            "scale": self.network.scale,
            "strength": self.step.strength,
            "precision": str(self.network.dtype).removeprefix("torch."),
            "frames": self.tiling.frames,
            "tile_samples": self.tiling.side,
            "seed": SEED,
        }
        if self.decisions:
            plain["lowered"] = [decision.to_plain() for decision in self.decisions]
        return plain


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
    most_bytes: int,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Put the scene of `clip` (`frames` frames) through its chain and encode it to `partial`.

    Returns what the record says of the networks, and ffmpeg's commands before and after them.
    `encoding` are ffmpeg's arguments for the encoder, `device_arguments` those that put it on the card. A scene that
    overflows in half precision is done again in single. Raises SceneError if a network makes no picture, and what
    `load_network` and ffmpeg raise.
    """
    for single in (False, True):
        with torch_threads(scene.settings.encoder_threads), seeded(device, SEED, deterministic=device.kind == "cpu"):
            fitted = _fitted(scene, frames, device, single=single)
            try:
                commands = _stream(
                    clip, partial, scene, fitted, frames, encoding, device_arguments, timeout_s, most_bytes
                )
            except HalfPrecisionOverflow as overflow:
                LOG.warning("%s overflows in half precision, the scene is done again in single", overflow)
                continue
            return [each.to_plain() for each in fitted], commands
    raise SceneError(
        "the networks overflow even in single precision",
        file=clip,
        remedy="set another model in enhance: chain; for this scene alone in the table that enhance: overrides names",
    )


def _fitted(scene: SceneGraphInput, frames: int, device: Device, *, single: bool) -> list[LoadedNetwork]:
    """All networks, loaded before the first frame is read; each is given what the one before it makes."""
    fitted = []
    width, height = scene.crop.width, scene.crop.height
    for step in scene.chain.networks:
        network = load_network(step, scene.settings, device, single=single)
        choice = plan_tiles(
            network, step, (width, height), scene.frames_in_chain(frames), scene.settings.network_tile_samples, device
        )
        fitted.append(LoadedNetwork(step, network, choice.candidate.value, choice.rejections))
        width, height = width * step.scale, height * step.scale
    return fitted


def _stream(
    clip: Path,
    partial: Path,
    scene: SceneGraphInput,
    fitted: Sequence[LoadedNetwork],
    frames: int,
    encoding: Sequence[str],
    device_arguments: Sequence[str],
    timeout_s: float,
    most_bytes: int,
) -> list[str]:
    width, height = scene.crop.width, scene.crop.height
    count = scene.frames_in_chain(frames)
    scale = scene.chain.scale
    rate = str(scene.rate_before_doubling)
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
        ffmpeg.pipe_in(encode, concerns=clip, timeout_s=timeout_s, max_output_bytes=most_bytes) as sink,
    ):
        pictures = prefetch(read_frames(source, width, height, count, fitted[0].network.device))
        for each in fitted:
            pictures = _mixed(pictures, count, each)
        shown = 2 if scene.doubled else 1
        write_all(Progress(count * shown).counting(pictures, shown), sink)
    names = argument_labels(clip, partial, device_arguments)
    return [redact_paths(arguments, names) for arguments in (decoding, encode)]


def _mixed(pictures: Iterator[Tensor], count: int, fitted: LoadedNetwork) -> Iterator[Tensor]:
    """The network's pictures, with a share of those before it if it is not to have its full strength."""
    strength = fitted.step.strength
    if strength == 1:
        return run_windowed(pictures, count, fitted.network, fitted.tiling)
    return _with_original(pictures, count, fitted)


def _with_original(pictures: Iterator[Tensor], count: int, fitted: LoadedNetwork) -> Iterator[Tensor]:
    from torch.nn.functional import interpolate

    waiting: deque[Tensor] = deque()

    def passing() -> Iterator[Tensor]:
        for picture in pictures:
            waiting.append(picture)
            yield picture

    scale, strength = fitted.network.scale, fitted.step.strength
    for made in run_windowed(passing(), count, fitted.network, fitted.tiling):
        before = waiting.popleft()[None].float()
        if scale > 1:
            before = interpolate(before, scale_factor=scale, mode="bicubic", align_corners=False)
        yield made.lerp(before[0], 1 - strength)

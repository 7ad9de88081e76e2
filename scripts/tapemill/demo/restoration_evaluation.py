"""Measuring a restoration network on the demo tape, whose truth is known, against the filters alone."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

from .. import ffmpeg, files
from ..enhance.filters import CHROMA, SCALER, Scene, filter_chain
from ..enhance.torchvision import make_importable
from . import plan
from .restoration_data import CAPTURE, DELAY_LINE_LINES, FULL, STRENGTHS, Planes, read_rgb, rgb_chain, scene
from .restoration_training import tensor
from .score import Likeness, likeness
from .vhs import CHROMA_DELAY_SAMPLES

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

LOG = logging.getLogger("tapemill.demo.restoration_evaluation")
TIME_LIMIT_S = 4 * 3600
# What the demo's config says of its tape.
BACK: Mapping[str, Any] = MappingProxyType(
    {"chroma_shift_samples": -2 * CHROMA_DELAY_SAMPLES, "chroma_shift_lines": -DELAY_LINE_LINES}
)
LOSSLESS = ("-c:v", "ffv1", "-level", "3", "-coder", "0", "-context", "0", "-g", "1", "-slices", "4")


def evaluate_network(*, model: Path, capture: Path, truth: Path, report: Path, threads: int) -> None:
    """Restore the demo tape by the filters of `fast` and by the network, and compare both with the truth.

    `report` (JSON) gets both likenesses and the network's time for a frame. Nothing is lost by an encoder in between.
    """
    import torch

    torch.set_num_threads(threads)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=report.parent, prefix=".restored-") as folder:
        video = Path(folder) / "restored.mkv"
        fast = scene(CAPTURE, {**BACK, "preset": "fast", "pixel_format": "yuv420p"})
        filter_video(capture, video, filter_chain(fast))
        figures["fast"] = _figures(video, truth, fast)
        before = scene(CAPTURE, {**BACK, **STRENGTHS, "pixel_format": "yuv420p"})
        frames, seconds = restore(load(model), capture, video, before)
        figures["network"] = {**_figures(video, truth, before), "seconds_per_frame": round(seconds / frames, 4)}
    for name, values in figures.items():
        LOG.info("%s: %s", name, values)
    files.write_json(report, figures)


def load(model: Path) -> ImageModelDescriptor[Any]:
    """A network as spandrel detects it, its weights with channels last like the pictures."""
    import torch

    make_importable()
    from spandrel import ImageModelDescriptor, ModelLoader

    loaded = ModelLoader(device="cpu").load_from_file(model)
    assert isinstance(loaded, ImageModelDescriptor)
    loaded.model.to(memory_format=torch.channels_last)
    return loaded


def filter_video(capture: Path, target: Path, chain: list[str]) -> None:
    """The capture through a chain, lossless."""
    arguments = [*_opened(capture), "-vf", ",".join(chain), "-fps_mode", "passthrough", *LOSSLESS]
    ffmpeg.run([*arguments, *ffmpeg.target(target, "matroska")], concerns=capture, timeout_s=TIME_LIMIT_S)


def restore(network: ImageModelDescriptor[Any], capture: Path, target: Path, of: Scene) -> tuple[int, float]:
    """The capture through filters, network and resize, lossless. Returns the frames and the network's seconds."""
    import torch

    width, height = of.crop.width, of.crop.height
    matrix = of.output.colour.matrix
    raw = ["-f", "rawvideo", "-pix_fmt", "gbrp16le", "-s", f"{width}x{height}", "-framerate", str(of.output.rate)]
    finish = f"scale=w={of.output.width}:h={of.output.height}:out_color_matrix={matrix}:out_range=tv:{CHROMA}:{SCALER}"
    written = [*raw, "-i", "pipe:0", "-vf", f"{finish},format=yuv420p,setsar=1", *LOSSLESS]
    read = [*_opened(capture), "-vf", rgb_chain(of), "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    frames, seconds = 0, 0.0
    with (
        ffmpeg.reading(read, concerns=capture, timeout_s=TIME_LIMIT_S) as source,
        ffmpeg.writing([*written, *ffmpeg.target(target, "matroska")], concerns=target, timeout_s=TIME_LIMIT_S) as sink,
        torch.inference_mode(),
    ):
        for seen in _frames(source, width, height):
            given = tensor(seen[None])
            started = time.monotonic()
            made = network(given)
            seconds += time.monotonic() - started
            frames += 1
            planes = (made[0].clamp(0, 1) * FULL).round().numpy().astype("<u2")
            sink.write(planes[[1, 2, 0]].tobytes())
    return frames, seconds


def _opened(capture: Path) -> list[str]:
    return [*ffmpeg.source(capture, options=("-r", str(plan.RATE))), "-map", "0:v:0"]


def _frames(source: IO[bytes], width: int, height: int) -> Iterator[Planes]:
    while (frame := read_rgb(source, width, height)) is not None:
        yield frame


def _figures(video: Path, truth: Path, of: Scene) -> dict[str, float]:
    like: Likeness = likeness(video, truth, prepare="format=yuv420p", height=of.crop.height)
    return {name: round(value, 4) for name, value in asdict(like).items()}

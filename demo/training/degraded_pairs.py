"""Training pairs of the restoration network: degraded and filtered frames, and their originals.

A clip is drawn, worn down by a tape that differs from the demo's, taken apart into fields and filtered by the stage's
own steps. Frame n of the result belongs to tick n of the drawing, line by line, so patches of both are pairs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import cv2
import numpy as np

from demo.tape import storyboard, vhs_degradation
from demo.tape.drawing import Picture
from demo.tape.scenes import TICKS_PER_FRAME
from tapemill.config.schema import load_config
from tapemill.core.errors import InputError
from tapemill.enhance import EnhanceSettings
from tapemill.enhance.chain import resolve_chain
from tapemill.enhance.filters.graph import SceneGraphInput, before_networks
from tapemill.media import ffmpeg
from tapemill.media.capture_info import VideoInfo
from tapemill.media.colour import Colour
from tapemill.models import UNPINNED, Model
from tapemill.storage import atomic

from .random_clips import random_paint

LOG = logging.getLogger("tapemill.demo.restoration_data")

# What the network is made for: it learns from what the filters before it leave.
SETTINGS: Mapping[str, Any] = MappingProxyType({"preset": "good"})
# Its place in the chain, while there is none.
TO_COME = Model("to be trained", "frame", Path("to-be-trained"), UNPINNED, scale=1)
CAPTURE = VideoInfo(
    width=storyboard.WIDTH,
    height=storyboard.HEIGHT,
    pixel_format="yuv422p",
    bit_depth=8,
    sample_aspect_ratio=storyboard.SAMPLE_ASPECT_RATIO,
    rate=storyboard.RATE,
    field_order="tff",
    colour=Colour(primaries="bt470bg", transfer="bt470bg", matrix="bt470bg", range="tv"),
)
DELAY_LINE_LINES = 2
"""How far the deck's delay line moves colour down, in lines of a frame."""
FULL = 65535
"""White in 16-bit RGB."""
TIME_LIMIT_S = 600

Planes = np.ndarray[Any, np.dtype[np.uint16]]
"""R'G'B' of full range, shape = (..., 3, height, width)."""


@dataclass(frozen=True)
class Size:
    """Size of the training set."""

    clips: int = 120
    frames: int = 14
    """Captured frames of a clip."""
    settled_ticks: int = 10
    """Denoising along time begins anew with each clip; patches are taken from this tick on."""
    ticks: int = 4
    """How many ticks of a clip patches are taken from."""
    patches: int = 6
    """Patches of one tick."""
    side: int = 96
    """Width and height of a patch."""


@dataclass(frozen=True)
class Pairs:
    """Patches before and after, in the order of their clips. shape = (patches, 3, side, side) each."""

    seen: Planes
    truth: Planes


def scene(settings: Mapping[str, Any], model: Model = TO_COME) -> SceneGraphInput:
    """The demo's capture, as the stage enhance sees it with these settings; all others are the schema's defaults."""
    section = load_config({"enhance": dict(settings)})["enhance"]
    complete = resolve_chain(section, lambda _name: model, lambda _values: None)
    return SceneGraphInput.of(CAPTURE, CAPTURE.field_order, EnhanceSettings(**complete))


def read_rgb(stream: IO[bytes], width: int, height: int) -> Planes | None:
    """The next frame of a stream of gbrp16le, None at its end."""
    raw = stream.read(width * height * 6)
    if not raw:
        return None
    return np.frombuffer(raw, "<u2").reshape(3, height, width)[[2, 0, 1]]


def to_rgb(picture: Picture) -> Planes:
    """A picture of the painters as the network should see it: BT.601, studio range, clipped."""
    luma, blueness, redness = (
        (picture[:, :, channel].astype(np.float32) - offset) / span
        for channel, offset, span in ((0, 16, 219), (1, 128, 224), (2, 128, 224))
    )
    red = luma + np.float32(1.402) * redness
    blue = luma + np.float32(1.772) * blueness
    green = (luma - np.float32(0.299) * red - np.float32(0.114) * blue) / np.float32(0.587)
    return np.rint(np.clip(np.stack([red, green, blue]), 0, 1) * FULL).astype(np.uint16)


def random_wear(rng: np.random.Generator) -> vhs_degradation.Wear:
    """A tape more or less as worn as the demo's."""
    return vhs_degradation.Wear(
        luma_bandwidth_hz=int(rng.uniform(2.5e6, 3.2e6)),
        chroma_bandwidth_hz=int(rng.uniform(0.45e6, 0.7e6)),
        chroma_delay_samples=int(rng.integers(0, 4)),
        luma_noise=float(rng.uniform(5, 12)),
        chroma_noise=float(rng.uniform(5, 12)),
        jitter_share=int(rng.integers(4, 11)),
        dropouts=float(rng.uniform(0, 3)),
    )


def make_pairs(*, target: Path, seed: int, size: Size, settings: Mapping[str, Any], threads: int = 1) -> None:
    """Draw, wear down and filter clips, and write patches of them; the same ones whatever the number of threads."""
    cv2.setNumThreads(1)

    def clip(number: int) -> Pairs:
        pairs = patches_of_clip((seed, number), size, settings, folder)
        LOG.info("clip %d of %d", number + 1, size.clips)
        return pairs

    with atomic.scratch_dir(target) as folder, ThreadPoolExecutor(threads) as pool:
        clips = list(pool.map(clip, range(size.clips)))
    with atomic.staged(target) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            seen=np.concatenate([pairs.seen for pairs in clips]),
            truth=np.concatenate([pairs.truth for pairs in clips]),
        )


def load_pairs(source: Path) -> Pairs:
    """Read what `make_pairs` wrote. Raises InputError if it is not there."""
    if not source.exists():
        raise InputError("the pairs to learn from are not there", file=source, remedy="run make_restoration_pairs")
    with np.load(source, allow_pickle=False) as archive:
        return Pairs(archive["seen"], archive["truth"])


def patches_of_clip(
    seed: tuple[int, int],
    size: Size,
    settings: Mapping[str, Any],
    folder: Path,
    wear: vhs_degradation.Wear | None = None,
) -> Pairs:
    """One random clip's patches, of the given wear or a random one. Colour is moved back as far as it was late.

    `folder` is for what is needed on the way.
    """
    rng = np.random.default_rng(seed)
    draw = random_paint(int(rng.integers(1 << 30)))
    wear = wear or random_wear(rng)
    back = {
        "chroma_shift_samples": -2 * wear.chroma_delay_samples,
        "chroma_shift_lines": -DELAY_LINE_LINES if wear.delay_line else 0,
    }
    of = scene({**settings, **back})
    width, height = of.crop.width, of.crop.height
    pictures = [draw(tick) for tick in range(size.frames * TICKS_PER_FRAME)]
    ticks = np.sort(rng.choice(np.arange(size.settled_ticks, len(pictures)), size.ticks, replace=False))
    tape = vhs_degradation.VhsTape(int(rng.integers(1 << 30)), wear)
    captured = b"".join(tape.play(frame, *pictures[2 * frame : 2 * frame + 2]).planes() for frame in range(size.frames))
    filtered = _filtered(captured, of, folder / f"{'-'.join(map(str, seed))}.yuv")
    seen: list[Planes] = []
    truth: list[Planes] = []
    for tick in ticks:
        clean = to_rgb(pictures[tick])
        for _ in range(size.patches):
            y, x = int(rng.integers(0, height - size.side + 1)), int(rng.integers(0, width - size.side + 1))
            for patches, whole in ((seen, filtered[tick]), (truth, clean)):
                patches.append(whole[:, y : y + size.side, x : x + size.side])
    return Pairs(np.stack(seen), np.stack(truth))


def _filtered(captured: bytes, of: SceneGraphInput, raw: Path) -> list[Planes]:
    """What the filters make of raw captured frames, by way of the file `raw`: one frame a field."""
    raw.write_bytes(captured)
    layout = ("-f", "rawvideo", "-pixel_format", of.picture.pixel_format)
    shape = ("-video_size", f"{of.picture.width}x{of.picture.height}", "-framerate", str(of.picture.rate))
    arguments = [
        *ffmpeg.input_args(raw, options=("-threads", "1", *layout, *shape)),
        *(
            "-filter_threads",
            "1",
            "-vf",
            ",".join(before_networks(of)),
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "pipe:1",
        ),
    ]
    frames = []
    with ffmpeg.pipe_out(arguments, concerns=raw, timeout_s=TIME_LIMIT_S) as stream:
        while (frame := read_rgb(stream, of.crop.width, of.crop.height)) is not None:
            frames.append(frame)
    raw.unlink()
    return frames

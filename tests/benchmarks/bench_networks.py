"""What the engine costs a frame model: pictures a second of a whole scene over those of the bare model.

The bare model gets one picture from memory again and again. The engine decodes, deinterlaces, hands over, restores and
encodes. Both by turns in one process, with the same threads; the median of the ratios is printed.

    python -m tests.benchmarks.bench_networks --rounds 3 --frames 12 --features 24 --layers 8 --device cpu
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

import torch  # noqa: E402

from tapemill.devices.device import Device  # noqa: E402
from tapemill.devices.memory import synchronize  # noqa: E402
from tapemill.enhance import EnhanceSettings, enhance_scene  # noqa: E402
from tapemill.enhance.chain import Chain  # noqa: E402
from tapemill.enhance.networks.loader import load_network  # noqa: E402
from tests.support.media.clips import PAL, PLAIN, clip_from  # noqa: E402  found through the line above
from tests.support.networks import compact, network, steps  # noqa: E402


def bare(settings: EnhanceSettings, device: Device, pictures: int) -> float:
    """Seconds for so many pictures."""
    torch.set_num_threads(settings.encoder_threads)
    loaded = load_network(Chain.of(settings).networks[0], settings, device)
    picture = torch.rand((1, 3, 576, 720), device=loaded.device).to(loaded.dtype)
    with torch.inference_mode():
        loaded.run(picture)
        synchronize(device)
        started = time.perf_counter()
        for _ in range(pictures):
            loaded.run(picture)
        synchronize(device)
    return time.perf_counter() - started


def engine(clip: Path, frames: int, settings: EnhanceSettings, device: Device) -> float:
    """Seconds for the scene."""
    started = time.perf_counter()
    enhance_scene(
        clip=clip,
        target=clip.with_name("clip.mkv"),
        record=clip.with_name("clip.json"),
        picture=replace(PAL, rate=Fraction(25)),
        frames=frames,
        settings=settings,
        device=device,
    )
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--features", type=int, default=24)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "xpu", "cuda", "hip"], default="cpu")
    parser.add_argument("--encoder", default="libx264")
    arguments = parser.parse_args()
    device = Device(arguments.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = compact(folder / "net.safetensors", gain=0.1, features=arguments.features, layers=arguments.layers)
        moving = "testsrc=size=720x576:rate=25,scroll=horizontal=0.01,noise=alls=5:allf=t,format=yuv422p"
        clip = clip_from(folder / "scene.mkv", moving, frames=arguments.frames)
        settings = replace(
            PLAIN,
            chain=steps(network(model), "resize"),
            encoder=arguments.encoder,
            encoder_threads=arguments.threads,
            field_order_by_scene=False,
        )
        pictures = 2 * arguments.frames
        rounds = [
            (bare(settings, device, pictures), engine(clip, arguments.frames, settings, device))
            for _ in range(arguments.rounds + 1)
        ][1:]
    lines = [
        f"Compact, {arguments.features} features, {arguments.layers} layers, {pictures} pictures of 720 × 576",
        f"bare model     {pictures / statistics.median(one for one, _ in rounds):8.2f} pictures/s",
        f"whole scene    {pictures / statistics.median(two for _, two in rounds):8.2f} pictures/s",
        f"share          {statistics.median(one / two for one, two in rounds):8.3f}",
    ]
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()

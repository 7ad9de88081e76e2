"""The filter path of the workflow against one ffmpeg process that does the same to the same capture.

Ours: each scene is cut to FFV1 and enhanced, two jobs at a time. The other: one ffmpeg over the whole capture, same
filters, same encoder, with as many threads as it likes. Both by turns, so that a busy machine is unfair to neither;
medians are printed. The start of a job's Python process is not in it.

    python -m tests.benchmarks.bench_filter_path --rounds 3 --scenes 4 --scene-s 6 --jobs 2
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

from tapemill.capture.probe import CaptureSettings, probe_capture  # noqa: E402
from tapemill.config.schema import load_config  # noqa: E402
from tapemill.core.timing import FrameRange  # noqa: E402
from tapemill.devices.device import CPU  # noqa: E402
from tapemill.enhance import EnhanceSettings, enhance_scene  # noqa: E402
from tapemill.enhance.encoders import encoder_arguments  # noqa: E402
from tapemill.enhance.filters.graph import SceneGraphInput, filter_chain  # noqa: E402
from tapemill.media.capture_info import Capture, SourceFileInfo, VideoInfo  # noqa: E402
from tapemill.media.ffmpeg import runner as ffmpeg  # noqa: E402
from tapemill.scenes import cut_scene  # noqa: E402
from tests.support.media.clips import PLAIN, UNTAGGED  # noqa: E402  found through the line above

RATE = 25
PICTURE = VideoInfo(
    width=720,
    height=576,
    pixel_format="yuv422p",
    bit_depth=8,
    sample_aspect_ratio=Fraction(16, 15),
    rate=Fraction(RATE),
    field_order="tff",
    colour=UNTAGGED,
)
TIMEOUT_S = 1800.0


def make_capture(path: Path, seconds: int) -> None:
    """PAL 25i, top field first: soft moving detail under noise, at the data rate of a captured VHS tape."""
    moving = (
        "mandelbrot=size=900x720:rate=50:start_scale=0.4:end_scale=0.05:end_pts=4000,"
        "crop=720:576:x='90+80*sin(t)':y='70+60*cos(t/2)',gblur=1.5,noise=alls=7:allf=t,setsar=16/15,format=yuv422p"
    )
    ffmpeg.run(
        [
            *("-f", "lavfi", "-i", moving, "-t", str(seconds), "-vf", "tinterlace=interleave_top,setfield=tff"),
            *("-c:v", "ffv1", "-level", "3", "-coder", "rice", "-g", "1", "-slices", "4", "-slicecrc", "1"),
            *ffmpeg.output_args(path, "matroska"),
        ],
        concerns=path,
        timeout_s=TIMEOUT_S,
    )


def describe(capture: Path) -> SourceFileInfo:
    """What the capture stage finds out."""
    facts = capture.with_suffix(".json")
    settings = CaptureSettings(**load_config({})["capture"])
    probe_capture(source=capture, target=facts, field_order="tff", display_aspect=None, settings=settings)
    return Capture.read(facts).takes[0]


def cut(capture: Path, take: SourceFileInfo, folder: Path, number: int, frames: int) -> None:
    """One scene, lossless, as the workflow cuts it."""
    cut_scene(
        source=capture,
        take=take,
        sound_stream=None,
        span=FrameRange(number * frames, (number + 1) * frames),
        target=folder / f"{number}.mkv",
        picture=PICTURE,
        threads=1,
    )


def enhance(folder: Path, number: int, frames: int, settings: EnhanceSettings) -> None:
    """One scene, from its cut."""
    enhance_scene(
        clip=folder / f"{number}.mkv",
        target=folder / f"{number}.out.mkv",
        record=folder / f"{number}.json",
        picture=PICTURE,
        frames=frames,
        settings=settings,
        device=CPU,
    )


def cuts_alone(capture: Path, take: SourceFileInfo, folder: Path, arguments: argparse.Namespace) -> None:
    """Cut every scene, `jobs` at a time."""
    with ThreadPoolExecutor(arguments.jobs) as pool:
        one = partial(cut, capture, take, folder, frames=arguments.scene_s * RATE)
        list(pool.map(one, range(arguments.scenes)))


def ours(
    capture: Path, take: SourceFileInfo, folder: Path, arguments: argparse.Namespace, settings: EnhanceSettings
) -> None:
    """Cut and enhance every scene, `jobs` at a time."""

    def scene(number: int) -> None:
        cut(capture, take, folder, number, arguments.scene_s * RATE)
        enhance(folder, number, arguments.scene_s * RATE, settings)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(scene, range(arguments.scenes)))


def enhancement_alone(folder: Path, arguments: argparse.Namespace, settings: EnhanceSettings) -> None:
    """The enhancement of `ours`, of cuts that are there."""
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(
            pool.map(
                partial(enhance, folder, frames=arguments.scene_s * RATE, settings=settings), range(arguments.scenes)
            )
        )


def one_process(capture: Path, folder: Path, settings: EnhanceSettings) -> None:
    """The whole capture by one ffmpeg, with its own choice of threads."""
    scene = SceneGraphInput.of(PICTURE, PICTURE.field_order, settings)
    encoder = encoder_arguments(settings.encoder, scene.output, settings)
    threads = encoder.index("-threads")
    del encoder[threads : threads + 2]
    arguments = [*ffmpeg.input_args(capture, options=("-r", str(RATE))), "-vf", ",".join(filter_chain(scene)), *encoder]
    ffmpeg.run([*arguments, *ffmpeg.output_args(folder / "one.mkv", "matroska")], concerns=capture, timeout_s=TIMEOUT_S)


def measure(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each way, in turns: wall clock, and processor time of this process and its children."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start, cpu = time.perf_counter(), sum(os.times()[:4])
            way()
            taken[name].append((time.perf_counter() - start, sum(os.times()[:4]) - cpu))
    return taken


def medians(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """Of wall clock and of processor time."""
    return statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--scene-s", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--encoder-threads", type=int, default=1)
    arguments = parser.parse_args()
    settings = replace(
        PLAIN, preset=arguments.preset, encoder_effort="medium", encoder_threads=arguments.encoder_threads
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capture = folder / "capture.mkv"
        make_capture(capture, arguments.scenes * arguments.scene_s)
        take = describe(capture)
        taken = measure(
            {
                "one process": partial(one_process, capture, folder, settings),
                "ours": partial(ours, capture, take, folder, arguments, settings),
                "  cuts alone": partial(cuts_alone, capture, take, folder, arguments),
                "  enhancement alone": partial(enhancement_alone, folder, arguments, settings),
            },
            arguments.rounds,
        )
        frames = arguments.scenes * arguments.scene_s * RATE
        sizes = sum((folder / f"{number}.mkv").stat().st_size for number in range(arguments.scenes))
    base = medians(taken["one process"])
    tell = sys.stdout.write
    tell(f"{frames} frames, {arguments.jobs} jobs, {sizes / frames / 1000:.0f} kB of cut a frame\n")
    tell(f"{'median of ' + str(arguments.rounds):22}    wall s  × one   ms/frame     CPU s  × one   (wall)\n")
    for way, runs in taken.items():
        wall, cpu = medians(runs)
        each = " ".join(f"{run[0]:.1f}" for run in runs)
        tell(f"{way:22} {wall:9.1f} {wall / base[0]:6.2f} {1000 * wall / frames:10.1f}")
        tell(f" {cpu:9.1f} {cpu / base[1]:6.2f}   ({each})\n")


if __name__ == "__main__":
    main()

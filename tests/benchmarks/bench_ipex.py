"""Durations with and without Intel's extension for PyTorch on the CPU, in turn: `make bench-ipex`.

Each is measured in a process of its own, because the extension replaces kernels of torch once it is imported.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from unittest import mock

from tapemill.devices import ipex
from tapemill.devices.determinism import torch_threads
from tapemill.devices.device import CPU
from tapemill.enhance.chain import NetworkStep
from tapemill.models import ModelFile
from tapemill.storage.fingerprint import sha256
from tests.support.media import speech
from tests.support.media.clips import LOSSLESS
from tests.support.project import ROOT

PAIRS = 30
THREADS = 2
NETWORK = ROOT / "resources" / "models" / "demo-compact.safetensors"


def recognition() -> Callable[[], object]:
    """Recognition of the two test sentences by the demo's speech model."""
    from tapemill.subtitles.segments import SpeechRegion

    from tapemill.subtitles.asr import transcribe
    from tapemill.subtitles.whisper_loader import load_model

    model = load_model(ModelFile(speech.MODEL, sha256(speech.MODEL)), CPU)
    samples = speech.recording().astype("float32") / 32768
    regions = [SpeechRegion(round(start * 1000), round(stop * 1000)) for start, stop in speech.SPANS_S]
    settings = speech.SETTINGS
    return lambda: transcribe(
        samples, regions, model=model, language="en", task="transcribe", settings=settings, device=CPU
    )


def frame() -> Callable[[], object]:
    """One frame of 720 × 576 through the demo's network."""
    import torch

    from tapemill.enhance.networks.loader import load_network

    network = load_network(NetworkStep(NETWORK.name, "frame", str(NETWORK), sha256(NETWORK), 1), LOSSLESS, CPU)
    image = torch.rand(1, 3, 576, 720)

    def run() -> object:
        with torch.inference_mode(), torch_threads(THREADS):
            return network.run(image)

    return run


STEPS = {"recognition of 5.8 s": recognition, "a frame through a network": frame}


def serve(connection: Connection, *, with_extension: bool) -> None:
    """Run the steps that the other side names, and send their durations in seconds."""
    with mock.patch.object(ipex, "installed_versions", ipex.installed_versions if with_extension else lambda: None):
        steps = {name: load() for name, load in STEPS.items()}
        while name := connection.recv():
            started = time.perf_counter()
            steps[name]()
            connection.send(time.perf_counter() - started)


def measure(name: str, servers: tuple[Connection, Connection]) -> str:
    """Medians of both, and median and quartiles of their ratio."""
    pairs = []
    for number in range(PAIRS + 2):
        seconds = {}
        # The first of a pair finds other caches than the second, so they take turns.
        for index in (0, 1) if number % 2 else (1, 0):
            servers[index].send(name)
            seconds[index] = servers[index].recv()
        pairs.append((seconds[0], seconds[1]))
    without, with_extension = (statistics.median(each) * 1000 for each in zip(*pairs[2:], strict=True))
    low, middle, high = statistics.quantiles((after / before for before, after in pairs[2:]), n=4)
    return (
        f"{name}: {without:.0f} ms without, {with_extension:.0f} ms with the extension; "
        f"ratio {middle:.2f} ({low:.2f} to {high:.2f})\n"
    )


def main() -> None:
    """Measure all steps."""
    if not ipex.extension_version():
        sys.exit("no extension for this torch: make bench-ipex")
    context = multiprocessing.get_context("spawn")
    servers = []
    for with_extension in (False, True):
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs,), kwargs={"with_extension": with_extension}, daemon=True).start()
        servers.append(ours)
    for name in STEPS:
        sys.stdout.write(measure(name, (servers[0], servers[1])))
    for server in servers:
        server.send("")


if __name__ == "__main__":
    main()

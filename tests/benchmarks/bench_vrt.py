"""What VRT costs: processor seconds and wall time a frame, and the peak of memory, with random weights.

Each task runs in a process of its own. On the processor the peak is what the kernel counted for that process (VmHWM),
whose part before the run is printed beside it; on a card it is torch's own peak, weights included. "estimate" is what
`tapemill.enhance.vrt.memory` says of the activations.

    python -m tests.benchmarks.bench_vrt --tasks 001 008 --frames 6 --size 64 64 --threads 1
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

from tapemill.enhance.vrt.checkpoints import CHECKPOINTS, Checkpoint  # noqa: E402
from tapemill.enhance.vrt.memory import activation_bytes  # noqa: E402  found through the line above

MEBI = 1 << 20


def task_named(start: str) -> Checkpoint:
    """The task whose name begins so."""
    found = [task for task in CHECKPOINTS if task.name.startswith(start)]
    if len(found) != 1:
        raise SystemExit(f"--tasks: {start!r} begins the name of {len(found)} tasks, not of one")
    return found[0]


def peak_rss() -> int:
    """Highest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Build, run and time the network in this process; seconds are those of the fastest round."""
    import torch

    from tapemill.enhance.vrt import VRT

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    given = task_named(arguments.tasks[0]).arguments
    device, dtype = torch.device(arguments.device), getattr(torch, arguments.dtype)
    network = VRT(**given.as_mapping()).eval().to(device, dtype)
    clip = torch.rand(1, arguments.frames, given.channels_in, *arguments.size).to(device, dtype)
    card = None if device.type == "cpu" else torch.get_device_module(device)
    before = peak_rss()
    taken = []
    for _ in range(arguments.rounds):
        if card:
            card.synchronize()
            card.reset_peak_memory_stats()
        wall, cpu = time.perf_counter(), time.process_time()
        result = network(clip)
        if card:
            card.synchronize()
        taken.append((time.perf_counter() - wall, time.process_time() - cpu))
    if not result.isfinite().all():
        raise SystemExit("the answer is not finite")
    wall, cpu = min(taken)
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    peak = card.max_memory_allocated() if card else peak_rss()
    return {"wall": wall, "cpu": cpu, "peak": peak, "before": weights if card else before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["001", "008"])
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--size", type=int, nargs=2, default=[64, 64], metavar=("H", "W"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    tell = sys.stdout.write
    if arguments.here:
        tell(json.dumps(measure(arguments)))
        return
    tell(
        f"{arguments.frames} frames of {arguments.size[0]}×{arguments.size[1]}, {arguments.dtype}, {arguments.device}\n"
    )
    tell(f"{'task':36} CPU s/frame  s/frame  frames/s  peak MiB  before  estimate\n")
    for start in arguments.tasks:
        task = task_named(start)
        command = [sys.executable, __file__, "--here", "--tasks", task.name]
        for name in ("frames", "device", "dtype", "threads", "rounds"):
            command += [f"--{name}", str(getattr(arguments, name))]
        command += ["--size", *map(str, arguments.size)]
        done = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        frames, itemsize = arguments.frames, 4 if arguments.dtype == "float32" else 2
        need = activation_bytes(task.arguments, frames, *arguments.size, itemsize, arguments.device.partition(":")[0])
        tell(f"{task.name:36} {done['cpu'] / frames:11.2f} {done['wall'] / frames:8.2f} {frames / done['wall']:9.2f}")
        tell(f" {done['peak'] / MEBI:9.0f} {done['before'] / MEBI:7.0f} {need.peak_bytes / MEBI:9.0f}\n")


if __name__ == "__main__":
    main()

"""What the plan says of a run, against what the run then takes: the demo tape, made twice. Real Snakemake, profile cpu.

Before the first run nothing was measured in the folder, so the plan has built-in figures alone; before the second it
has the times of the first. Results are removed in between. The second prediction has to be within 25 %.

Other programs make a run slower than the one before, or quicker: how long all cores together were busy meanwhile, with
whatever, is shown beside.

    python -m tests.benchmarks.bench_plan --preset good
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
CAPTURE = "resources/demo/capture.mkv"
ALLOWED = 0.25


def prepare(folder: Path, preset: str, capture: Path | None) -> None:
    """A working folder for the demo tape, as it is in a clone."""
    made = shutil.ignore_patterns("capture.mkv", "truth.mkv", "training")
    for name in ("config", "resources"):
        shutil.copytree(ROOT / name, folder / name, ignore=made)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["enhance"]["preset"] = preset
    config["plan"] = {"json": "plan.json"}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    if capture is not None:
        shutil.copy(capture, folder / CAPTURE)
    else:
        snakemake(folder, CAPTURE)
        # It took time, too, and neither run does it again.
        shutil.rmtree(folder / "benchmarks")


def snakemake(folder: Path, *targets: str) -> tuple[float, float]:
    """Run it; seconds by the clock, and those that the cores of this machine were busy."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    before, start = busy_s(), time.perf_counter()
    done = subprocess.run(
        [*command, "--profile", str(ROOT / "profiles/cpu"), *targets],
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    wall_s, core_s = time.perf_counter() - start, busy_s() - before
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-5000:]
    return wall_s, core_s


def busy_s() -> float:
    """Of all cores together, since the machine was started."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="good", help="of the section enhance")
    parser.add_argument("--capture", type=Path, help="a copy of the demo's capture, to save making it")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    off = 1.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "demo"
        prepare(folder, arguments.preset, arguments.capture)
        heads = f"{'run':>3} {'planned s':>10} {'took s':>10} {'off by':>8} {'cores busy s':>13}  times from"
        sys.stdout.write(f"{heads}\n")
        for number in range(1, arguments.rounds + 1):
            shutil.rmtree(folder / "results", ignore_errors=True)
            snakemake(folder, "show_plan")
            plan = json.loads((folder / "plan.json").read_text())
            wall_s, core_s = snakemake(folder, "all")
            off = plan["total_s"] / wall_s - 1
            source = f"{plan['measured_jobs']} jobs here, {plan['measured_share']:.0%} of the work"
            row = f"{number:>3} {plan['total_s']:>10.0f} {wall_s:>10.0f} {off:>+8.0%} {core_s:>13.0f}  {source}\n"
            sys.stdout.write(row)
            sys.stdout.flush()
    return int(abs(off) > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())

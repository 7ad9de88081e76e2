"""How busy the scheduler and the workers keep two lanes: real Snakemake, jobs that sleep as long as scenes would take.

Idle share: what the lanes stood still between the first start and the last end of a job. From one job to the next in
a lane Snakemake needs a moment (end noticed, next chosen, shell, Python, imports): the turn-around, of which the median
is given; "beyond" is the idle share without it.

    python -m tests.benchmarks.bench_lanes --jobs 100
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
import json
from pathlib import Path
from tapemill.process import run_lock as runlock
from tapemill.config.schema import load_config

config.update(load_config(config))
JOBS = json.loads(Path("jobs.json").read_text())

onstart:
    runlock.acquire(Path(".snakemake"))

rule all:
    input: expand("done/{job}", job=JOBS)

rule nap:
    output: "done/{job}"
    log: "logs/nap/{job}.log"
    resources:
        gpu=1,
        expected_s=lambda wildcards: JOBS[wildcards.job]["expected_s"],
    params:
        plan=lambda wildcards: JOBS[wildcards.job],
    script: "nap.py"
"""
SCRIPT = """
import re
import standins
from tapemill import lanes
from tapemill.jobs import entrypoint as script

def main(job):
    lane = " ".join(sorted(name for name in job.resources.keys() if re.fullmatch(r"gpu\\d+", name)))
    plan = job.params.plan
    how = {"seconds": plan["seconds"], "fails": plan["fails"]}
    lanes.run_on_lane(job, standins.nap, target=job.output[0], diary="diary", lane=lane, **how)

script.run_job(main, snakemake)
"""


def scene_lengths(count: int, median_s: float) -> list[float]:
    """Log-normal, as the lengths of scenes are, and none beyond ten medians."""
    draw = random.Random(1)
    return [min(draw.lognormvariate(0, 0.8), 10) * median_s for _ in range(count)]


def run(seconds: list[float], *options: str, fails: float = 0, warm: bool = True) -> dict[str, Any]:
    """Run all jobs once; figures of the lanes."""
    draw = random.Random(2)
    jobs = {
        f"{number:03}": {"seconds": length, "expected_s": max(1, round(length)), "fails": draw.random() < fails}
        for number, length in enumerate(seconds)
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "nap.py").write_text(SCRIPT)
        (folder / "jobs.json").write_text(json.dumps(jobs))
        (folder / "config.yaml").write_text(yaml.safe_dump({"lanes": {"warm": warm}}))
        path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])
        command = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", "--cores", "8", "--retries", "2"]
        done = subprocess.run(
            [*command, "--scheduler", "lanes", "--nolock", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "XDG_RUNTIME_DIR": name},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stdout)
        entries = [json.loads(line) for line in (folder / "diary").read_text().splitlines()]
    return figures(entries, sum(job["fails"] for job in jobs.values()))


def figures(entries: list[dict[str, Any]], failed: int) -> dict[str, Any]:
    """What the diary of the jobs says."""
    lanes = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry["start"]):
        lanes[entry["lane"]].append(entry)
    makespan = max(entry["stop"] for entry in entries) - min(entry["start"] for entry in entries)
    gaps = [after["start"] - before["stop"] for jobs in lanes.values() for before, after in pairwise(jobs)]
    busy = sum(entry["stop"] - entry["start"] for entry in entries)
    idle = len(lanes) * makespan - busy
    turn = statistics.median(gaps)
    return {
        "jobs": len(entries),
        "failed": failed,
        "lanes": {name: len(jobs) for name, jobs in sorted(lanes.items())},
        "overlaps": sum(gap < 0 for gap in gaps),
        "makespan_s": makespan,
        "turn_ms": 1000 * turn,
        "idle": idle / makespan / len(lanes),
        "beyond": (idle - turn * len(gaps)) / makespan / len(lanes),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--median-s", type=float, default=1.5)
    arguments = parser.parse_args()
    scenes = scene_lengths(arguments.jobs, arguments.median_s)
    alike = [1.0] * arguments.jobs
    one, two = ("--resources", "gpu0=1", "gpu1=1"), ("--resources", "gpu0=2", "gpu1=2")
    ways = {
        "scenes, cold": lambda: run(scenes, *one, warm=False),
        "scenes, cold, 5 % fail once": lambda: run(scenes, *one, warm=False, fails=0.05),
        "scenes, cold, one lane": lambda: run(scenes, "--resources", "gpu0=1", "gpu1=0", warm=False),
        "scenes, warm": lambda: run(scenes, *two),
        "1 s jobs, warm": lambda: run(alike, *two),
        "1 s jobs, warm, 5 % fail once": lambda: run(alike, *two, fails=0.05),
        "1 s jobs, warm, one lane": lambda: run(alike, "--resources", "gpu0=2", "gpu1=0"),
    }
    tell = sys.stdout.write
    tell("                               jobs  failed  makespan s  turn-around ms  idle %  beyond %  overlaps  lanes\n")
    for way, measured in ways.items():
        found = measured()
        tell(f"{way:30} {found['jobs']:5} {found['failed']:7} {found['makespan_s']:11.1f} {found['turn_ms']:15.0f}")
        tell(f" {100 * found['idle']:7.2f} {100 * found['beyond']:9.2f} {found['overlaps']:9}  {found['lanes']}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

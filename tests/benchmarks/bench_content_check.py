"""Share of a tape's time that is spent on hashes of its content, side by side with the jobs that made it.

A tape of noisy 576i is made by real jobs of the workflow. Then its hashes are taken again, several times: those of the
clips and the audio when they are made, those before the mux, and those of `checksums.sha256`, for which here every
result is read. Printed are processor seconds, which other programs disturb least, and wall-clock seconds, of the hashes
(median) and of all jobs of the tape together (from benchmarks/).

    python -m tests.benchmarks.bench_content_check --presets none fast --scenes 4 --scene-s 6 --rounds 5
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tapemill.provenance.checksums import write_tape_checksums
from tapemill.scenes import read_scenes
from tapemill.storage import fingerprint
from tapemill.tape.content_check import check_content
from tests.benchmarks.bench_filter_path import make_capture
from tests.support.project import Project

TAPE = "T"


def make_tape(folder: Path, preset: str, scenes: int, scene_s: int) -> tuple[Path, list[Path]]:
    """Make a tape by `all`. Returns its folder and its clips."""
    project = Project(folder / preset)
    project.configure(enhance={"preset": preset}, scenes={"longest_s": scene_s}, report={"pages": True})
    make_capture(project.path("capture.mkv"), scenes * scene_s)
    project.sheet({"tape": TAPE, "source": "capture.mkv", "field_order": "tff"})
    project.make("all")
    results = project.path(f"results/{TAPE}")
    return results, [results / "enhanced" / f"{scene.id}.mkv" for scene in read_scenes(results / "scenes.tsv")]


def job_times(benchmarks: Path) -> tuple[float, float]:
    """Return wall-clock and processor seconds of all jobs."""
    rows = [row for path in benchmarks.rglob("*.tsv") for row in csv.DictReader(path.open(), delimiter="\t")]
    return sum(float(row["s"]) for row in rows), sum(float(row["cpu_time"]) for row in rows)


def median_times(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return wall-clock and processor seconds of some work."""
    taken = []
    for _ in range(rounds):
        start, processor = time.perf_counter(), time.process_time()
        work()
        taken.append((time.perf_counter() - start, time.process_time() - processor))
    return statistics.median(wall for wall, _ in taken), statistics.median(cpu for _, cpu in taken)


def main() -> None:
    """Measure each preset and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["none", "fast"])
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--scene-s", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for preset in arguments.presets:
            results, clips = make_tape(Path(name), preset, arguments.scenes, arguments.scene_s)
            audio = results / "sound.mka"
            jobs = job_times(results.parents[1] / "benchmarks")
            works: dict[str, Callable[[], object]] = {
                "when made": lambda files=(*clips, audio): [fingerprint.sha256(file) for file in files],
                "before the mux": partial(check_content, clips, audio),
                "checksums.sha256": partial(write_tape_checksums, results, {}),
            }
            hashes = {work: median_times(run, arguments.rounds) for work, run in works.items()}
            hashes["together"] = (sum(wall for wall, _ in hashes.values()), sum(cpu for _, cpu in hashes.values()))
            size_mb = sum(file.stat().st_size for file in (*clips, audio)) / 1e6
            sys.stdout.write(f"preset {preset}: {len(clips)} clips, {size_mb:.0f} MB with the audio\n")
            sys.stdout.write(f"  {'all jobs':18} {jobs[0]:8.2f} s {jobs[1]:8.2f} CPU s\n")
            for work, (wall, cpu) in hashes.items():
                shares = f"{100 * wall / jobs[0]:5.2f} % {100 * cpu / jobs[1]:5.2f} % of CPU"
                sys.stdout.write(f"  {work:18} {wall:8.2f} s {cpu:8.2f} CPU s  {shares}\n")


if __name__ == "__main__":
    main()

"""An archive end to end: 10 tapes of 50 scenes, each a second, with the preset `fast`, by one `snakemake all`.

Everything is real: counting captures with sound, a hard cut every second that the detection has to find, every job of
every scene, pages and records. Every frame of every tape is read back and has to show its number. Printed are wall
time, seconds a job, time and memory of the main process; with --sample, its memory every so many seconds.

    python -m tests.benchmarks.archive --tapes 10 --scenes 50

What it does not know goes to snakemake.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tapemill.scenes import read_scenes
from tests.benchmarks.bench_resume import Cost, Tapes, started, whole
from tests.support.media.frame_codes import make_capture, read_numbers
from tests.support.project import JOB, ROOT, Project

FRAMES = 25
"""A scene: one second."""
SIZE = (128, 96)


def made(folder: Path, tapes: int, scenes: int, at_a_time: int) -> Tapes:
    """Captures and their sheet."""
    project = Project(folder)
    project.configure(enhance={"preset": "fast"}, report={"pages": True}, queue={"tapes": at_a_time})
    archive = Tapes(folder, tapes)
    for name in archive.names:
        frames = FRAMES * scenes
        make_capture(
            folder / f"{name}.mkv",
            frames=frames,
            size=SIZE,
            cuts=range(FRAMES, frames, FRAMES),
            sound_rate_hz=16_000,
        )
    project.sheet(
        *(
            {"tape": name, "source": f"{name}.mkv", "language": language, "field_order": "progressive"}
            for name, language in zip(archive.names, itertools.cycle(("en", "auto")), strict=False)
        )
    )
    return archive


@dataclass
class Own:
    """What a process used by itself; what the kernel counts at its end holds its jobs, too."""

    pid: int
    every_s: float
    """Print its memory so often; 0 for never."""
    seconds: float = 0.0
    peak_mib: float = 0.0

    def watch(self) -> None:
        """Until it ends."""
        start = told = time.monotonic()
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            while process.status() != psutil.STATUS_ZOMBIE:
                times = process.cpu_times()
                self.seconds = times.user + times.system
                resident_mib = process.memory_info().rss / 2**20
                self.peak_mib = max(self.peak_mib, resident_mib)
                if self.every_s and time.monotonic() - told >= self.every_s:
                    told = time.monotonic()
                    sys.stdout.write(f"  {told - start:6.0f} s  {resident_mib:5.0f} MiB\n")
                    sys.stdout.flush()
                time.sleep(0.1)


def check(archive: Tapes, tape: str, scenes: int) -> None:
    """Raise AssertionError unless each frame of the tape shows its number, and all scenes were found."""
    folder = archive.project.path(f"results/{tape}")
    assert len(read_scenes(folder / "scenes.tsv")) == scenes, tape
    numbers = [reading.number for reading in read_numbers(folder / f"{tape}.mkv")]
    assert numbers == list(range(FRAMES * scenes)), f"{tape}: {len(numbers)} frames"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tapes", type=int, default=10)
    parser.add_argument("--scenes", type=int, default=50, help="of each tape")
    parser.add_argument("--at-a-time", type=int, default=4, help="the setting queue: tapes")
    parser.add_argument("--sample", type=float, default=0, help="print the memory every so many seconds")
    arguments, options = parser.parse_known_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPATH"] = str(ROOT / "scripts")
    with tempfile.TemporaryDirectory() as name:
        archive = made(Path(name) / "archive", arguments.tapes, arguments.scenes, arguments.at_a_time)
        start, first_s = time.perf_counter(), 0.0
        with started(archive, "all", *options) as run:
            own = Own(run.pid, arguments.sample)
            threading.Thread(target=own.watch, daemon=True).start()
            while not first_s:
                assert run.poll() is None, archive.project.path("terminal").read_text(errors="replace")[-5000:]
                first_s = time.perf_counter() - start if any(archive.project.path("logs").rglob("*.log")) else 0.0
                time.sleep(0.05)
            _, status, used = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
            cost = Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        told = archive.project.path("terminal").read_text(errors="replace")
        assert run.returncode == 0, told[-5000:]
        logs = archive.project.path(".snakemake/log").glob("*.log")
        jobs = Counter(job for log in logs for job in JOB.findall(log.read_text(errors="replace")))
        for tape in archive.names:
            check(archive, tape, arguments.scenes)
        number = jobs.total() - jobs["all"]
        sys.stdout.write(f"{arguments.tapes} tapes of {arguments.scenes} scenes: every frame in its place\n")
        sys.stdout.write(f"jobs: {number} ({', '.join(f'{rule} {count}' for rule, count in sorted(jobs.items()))})\n")
        sys.stdout.write(
            f"first job after {first_s:.1f} s; {cost.wall_s:.0f} s in all, {cost.wall_s / number:.2f} s a job, with "
            f"{cost.processor_s / number:.2f} s of a processor; of that the main process {own.seconds / number:.3f} s, "
            f"which had {own.peak_mib:.0f} MiB at its peak\n"
        )
        for attempt in ("all of it again", "and again"):
            again, jobs_again = whole(archive, "all", *options)
            sys.stdout.write(
                f"{attempt}: {jobs_again} jobs, {again.wall_s:.1f} s, {again.processor_s:.1f} s of a processor\n"
            )


if __name__ == "__main__":
    main()

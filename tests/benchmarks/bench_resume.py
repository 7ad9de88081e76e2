"""How long a tape of many scenes takes to plan, and to go on with after `kill -9`. Real Snakemake, profile cpu.

The tape is tiny frames with a hard cut every second. Capture, scene table and the first scene are made by real jobs.
The clips, sound and subtitles of all other scenes are copies of the first one's, joined by the real `mux_tape`; that
they are made is written down by Snakemake itself (`--touch`), since four real jobs a scene would take an hour. Planning
sees names, times and its own records only, and they are what real jobs leave: a record of the first scene is compared.

Processor time is that of Snakemake's main process. On a machine that others use it is the figure to compare.

    python -m tests.benchmarks.bench_resume --scenes 1000 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]

from tapemill.scenes import read_scenes  # noqa: E402
from tests.support.media.frame_codes import make_capture  # noqa: E402  found through the line above
from tests.support.project import Project  # noqa: E402

FRAMES = 25
"""A scene: one second."""
SIZE = (128, 96)
OF_A_SCENE = ("audio/{}.wav", "subtitles/{}.srt", "subtitles/{}.json", "enhanced/{}.mkv", "enhanced/{}.json")
SCENE_RULES = ("extract_audio", "transcribe_scene", "cut_scene", "enhance_scene")
# Snakemake rests 0.1 s after each file it touches: seven minutes for a thousand scenes.
TOUCH = """
import sys; from snakemake.executors import touch; from snakemake.cli import main
touch.Executor.SLEEPING_TIME = 0
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Cost:
    """What a run, or a part of one, took."""

    wall_s: float
    processor_s: float
    peak_mib: float


class Tapes:
    """A working folder with finished tapes T0, T1, ... of the same capture."""

    def __init__(self, folder: Path, tapes: int) -> None:
        self.project = Project.existing(folder)
        self.names = [f"T{number}" for number in range(tapes)]

    @property
    def ids(self) -> list[str]:
        """Their scenes."""
        return [scene.id for scene in read_scenes(self.project.path("results/T0/scenes.tsv"))]

    @classmethod
    def made(cls, folder: Path, scenes: int, tapes: int) -> Tapes:
        """Make them."""
        Project(folder)
        made = cls(folder, tapes)
        make_capture(
            folder / "capture.mkv",
            frames=FRAMES * scenes,
            size=SIZE,
            cuts=range(FRAMES, FRAMES * scenes, FRAMES),
            sound_rate_hz=16_000,
        )
        made._sheet(made.names[:1])
        made.project.make("results/T0/scenes.tsv")
        assert len(made.ids) == scenes, f"{len(made.ids)} scenes were found"
        made.project.make(*(f"results/T0/{name.format('0000000')}" for name in OF_A_SCENE))
        record = made.record("results/T0/enhanced/0000000.mkv")
        made._copy_scenes()
        made.project.make("all")
        for name in made.names[1:]:
            made._copy_tape(name)
        made._sheet(made.names)
        made.touch()
        assert made.record("results/T0/enhanced/0000000.mkv")["params"] == record["params"]
        return made

    def copy(self, folder: Path) -> Tapes:
        """The same in another folder, file times kept."""
        shutil.copytree(self.project.folder, folder, symlinks=True)
        return Tapes(folder, len(self.names))

    def _sheet(self, names: Sequence[str]) -> None:
        row = {"source": "capture.mkv", "language": "en", "field_order": "progressive"}
        self.project.sheet(*({"tape": name} | row for name in names))

    def _copy_scenes(self) -> None:
        for name in OF_A_SCENE:
            content = self.project.path(f"results/T0/{name.format('0000000')}").read_bytes()
            for id in self.ids[1:]:
                self.project.path(f"results/T0/{name.format(id)}").write_bytes(content)

    def _copy_tape(self, name: str) -> None:
        target = self.project.path(f"results/{name}")
        shutil.copytree(self.project.path("results/T0"), target)
        for path in target.glob("T0.*"):
            path.rename(target / f"{name}{''.join(path.suffixes)}")

    def record(self, output: str) -> dict[str, object]:
        """What Snakemake remembers of an output."""
        key = urlsafe_b64encode(output.encode()).decode()
        return dict(json.loads(self.project.path(f".snakemake/metadata/{key}").read_text()))

    def command(self, *arguments: str) -> list[str]:
        """Arguments of snakemake, as a user gives them."""
        where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(self.project.folder)]
        return [*where, "--profile", str(ROOT / "profiles" / "cpu"), "--cores", "2", *arguments]

    def touch(self) -> None:
        """Let Snakemake write down that all is made."""
        rules = (*SCENE_RULES, *(["probe_capture", "clean_sound"] if len(self.names) > 1 else []))
        command = [sys.executable, "-c", TOUCH, *self.command("all", "--touch", "--forcerun", *rules)]
        done = subprocess.run(command, cwd=self.project.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-5000:]

    def forget(self, ids: Sequence[str]) -> None:
        """Remove what was made of these scenes, and the finished tapes."""
        for tape in self.names:
            folder = self.project.path(f"results/{tape}")
            for path in [*folder.glob(f"{tape}.*"), *(folder / name.format(id) for name in OF_A_SCENE for id in ids)]:
                path.unlink(missing_ok=True)
            shutil.rmtree(folder / "scenes", ignore_errors=True)


@contextmanager
def started(tapes: Tapes, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run; what it prints goes to the file `terminal`."""
    command = [sys.executable, "-m", "snakemake", *tapes.command(*arguments)]
    with tapes.project.path("terminal").open("wb") as terminal:
        run = subprocess.Popen(
            command,
            cwd=tapes.project.folder,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "250"},
        )
        yield run


def whole(tapes: Tapes, *arguments: str) -> tuple[Cost, int]:
    """Run to the end; its cost and how many jobs it had to do."""
    start = time.perf_counter()
    with started(tapes, *arguments) as run:
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - start
    told = tapes.project.path("terminal").read_text(errors="replace")
    assert run.returncode == 0, told[-5000:]
    total = re.search(r"^\W*total\W+(\d+)", told, re.MULTILINE)
    assert total or "Nothing to be done" in told, told[-5000:]
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), int(total[1]) if total else 0


def so_far(run: subprocess.Popen[bytes], start: float) -> Cost:
    """What a run has used since it was started."""
    process = psutil.Process(run.pid)
    times = process.cpu_times()
    peak = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{run.pid}/status").read_text(), re.MULTILINE)
    return Cost(time.perf_counter() - start, times.user + times.system, int(peak[1]) / 1024 if peak else 0.0)


def killed(tapes: Tapes, jobs: int) -> tuple[Cost, Cost]:
    """Run until `jobs` jobs are done, then `kill -9`. The cost until the first job started, and of a job after it."""
    shutil.rmtree(tapes.project.path("logs"), ignore_errors=True)
    logs = tapes.project.path(".snakemake/log")
    before = set(logs.glob("*.log"))
    start = time.perf_counter()

    def done() -> int:
        new = set(logs.glob("*.log")) - before
        return sum(path.read_text(errors="replace").count("Finished jobid") for path in new)

    with started(tapes, "all") as run:
        while not any(tapes.project.path("logs").rglob("*.log")):
            assert run.poll() is None, tapes.project.path("terminal").read_text(errors="replace")[-5000:]
            time.sleep(0.02)
        first = so_far(run, start)
        while done() < 2:
            time.sleep(0.1)
        warm, counted = so_far(run, start), done()
        while done() < counted + jobs:
            assert run.poll() is None, tapes.project.path("terminal").read_text(errors="replace")[-5000:]
            time.sleep(0.1)
        last, many = so_far(run, start), done() - counted
        run.kill()
    folder = str(tapes.project.folder)
    while any(process.info["cwd"] == folder for process in psutil.process_iter(["cwd"])):
        time.sleep(0.1)
    each = Cost((last.wall_s - warm.wall_s) / many, (last.processor_s - warm.processor_s) / many, last.peak_mib)
    return first, each


def tell(what: str, costs: Sequence[Cost], jobs: str = "") -> None:
    """One line of the table: medians."""
    wall, processor = (statistics.median(getattr(cost, key) for cost in costs) for key in ("wall_s", "processor_s"))
    peak = max(cost.peak_mib for cost in costs)
    sys.stdout.write(f"{what:36} {jobs:>7} {wall:9.2f} {processor:13.2f} {peak:10.0f}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1000, help="of each tape")
    parser.add_argument("--tapes", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=20, help="done in each round before the run is killed again")
    parser.add_argument("--folder", type=Path, help="keep the tapes here, and take them from here if there are any")
    arguments = parser.parse_args()
    # As for a user: Python keeps its own modules compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPATH"] = str(ROOT / "scripts")
    with tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        kept = (arguments.folder or Path(name)) / f"{arguments.tapes}x{arguments.scenes}"
        made = Tapes(kept, arguments.tapes)
        if not kept.exists():
            made = Tapes.made(kept, arguments.scenes, arguments.tapes)
            sys.stderr.write(f"made in {time.perf_counter() - start:.0f} s\n")
        tapes = made.copy(Path(name) / "work")
        sys.stdout.write(f"{'':36} {'jobs':>7} {'wall s':>9} {'processor s':>13} {'peak MiB':>10}\n")

        def measure(what: str, *options: str) -> None:
            runs = [whole(tapes, "all", *options) for _ in range(arguments.rounds)]
            tell(what, [cost for cost, _ in runs], str(runs[0][1]))

        measure("nothing to do")
        measure("-n, nothing to do", "-n")
        tapes.forget(tapes.ids[len(tapes.ids) // 2 :])
        measure("-n, half to do", "-n")
        killed(tapes, arguments.jobs)
        restarts = [killed(tapes, arguments.jobs) for _ in range(arguments.rounds)]
        tell("after kill -9, to the next job", [first for first, _ in restarts])
        tell("each job after it, two at a time", [each for _, each in restarts])
        tapes.forget(tapes.ids)
        measure("-n, all scenes to do", "-n")


if __name__ == "__main__":
    main()

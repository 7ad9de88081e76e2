"""The subtitles stage over many short scenes: warm workers, against a loop, cold jobs, and the `whisper` command.

All recognise the same sound with the demo's model: the loop in one process that loads the model once, the workflow with
a worker at one lane, the same with two, a process for each scene (`lanes: warm: false`), and openai-whisper's command
line for each scene, which finds no speech beforehand and writes no cues. By turns, so that a busy machine is unfair to
none.
Seconds a scene are from the start of the first job to the end of the last; Snakemake's own start is told beside it.

    python -m tests.benchmarks.bench_subtitles --scenes 200 --cold-scenes 10 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

from tests.support.media import speech  # noqa: E402  found through the line above
from tests.support.project import DEMO_MODEL, Project  # noqa: E402

LOOP = """
import sys, time; from fractions import Fraction; from pathlib import Path
from tapemill.devices.device import CPU
from tapemill.models import ModelFile, find_model
from tapemill.config.schema import load_config
from tapemill.subtitles import SubtitlesSettings, transcribe_scene
import silero_vad, torch, whisper
model = Path(sys.argv[1]); folder = Path(sys.argv[2])
settings = SubtitlesSettings(**load_config({"subtitles": {"model": str(model)}})["subtitles"])
start = time.perf_counter()
for audio in map(Path, sys.argv[3:]):
    transcribe_scene(audio=audio, model=ModelFile(model, find_model(str(model), {"speech"}).sha256),
        srt=folder / f"{audio.stem}.srt", record=folder / f"{audio.stem}.json", language="en", frames=145,
        rate=Fraction(25), settings=settings, recipe=1, device=CPU)
print(time.perf_counter() - start)
"""


def make_project(folder: Path, scenes: int) -> Project:
    """A tape of ready scenes with their sound extracted."""
    project = Project(folder)
    source = project.path("scenes")
    source.mkdir()
    said = [speech.sentence(0), speech.sentence(1), speech.recording()]
    for number in range(scenes):
        speech.make_scene(source / f"{number + 1}.mkv", said[number % len(said)])
    project.sheet({"tape": "T", "source": "scenes", "language": "en", "field_order": "progressive"})
    project.make(*(f"results/T/audio/{number:07}.wav" for number in range(1, scenes + 1)))
    return project


def workflow(project: Project, scenes: int, *options: str, warm: bool = True) -> tuple[float, float]:
    """Transcribe with the real rules. Seconds from the first job's start to the last one's end, and of all."""
    for folder in ("results/T/subtitles", "logs/transcribe_scene"):
        subprocess.run(["rm", "-rf", str(project.path(folder))], check=True)
    project.configure(lanes={"warm": warm})
    start = time.perf_counter()
    project.make(*(f"results/T/subtitles/{number:07}.srt" for number in range(1, scenes + 1)), *options, cores=4)
    wall_s = time.perf_counter() - start
    logs = sorted(project.path("logs/transcribe_scene/T").glob("*.log"))
    assert len(logs) == scenes
    started = min(datetime.fromisoformat(log.read_text()[:23].replace(",", ".")).timestamp() for log in logs)
    return max(log.stat().st_mtime for log in logs) - started, wall_s


def loop(project: Project, scenes: int) -> tuple[float, float]:
    """The same function in one process, its imports not counted."""
    with tempfile.TemporaryDirectory() as target:
        audios = [f"results/T/audio/{number:07}.wav" for number in range(1, scenes + 1)]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", LOOP, DEMO_MODEL, target, *audios],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT / "scripts"), "PATH": "/usr/bin:/bin"},
        )
        return float(done.stdout), time.perf_counter() - start


def whisper_command(project: Project, scenes: int) -> tuple[float, float]:
    """openai-whisper's own program, once for each scene."""
    program = Path(sys.executable).parent / "whisper"
    options = ["--model", DEMO_MODEL, "--language", "en", "--device", "cpu", "--fp16", "False", "--threads", "1"]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as target:
        for number in range(1, scenes + 1):
            audio = f"results/T/audio/{number:07}.wav"
            command = [str(program), audio, *options, "--output_format", "srt", "--output_dir", target]
            subprocess.run(command, cwd=project.folder, capture_output=True, check=True)
    taken_s = time.perf_counter() - start
    return taken_s, taken_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--cold-scenes", type=int, default=10, help="for the two slow ways")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    # As for a user: Python keeps its own modules compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    lanes = ("--scheduler", "lanes", "--resources")
    many, few = arguments.scenes, arguments.cold_scenes
    taken: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name) / "project", many)
        for _ in range(arguments.rounds):
            ways = {
                "a loop, model loaded once": (many, loop(project, many)),
                "warm, one lane": (many, workflow(project, many, *lanes, "gpu0=2")),
                "warm, two lanes": (many, workflow(project, many, *lanes, "gpu0=2", "gpu1=2")),
                "cold, one lane": (few, workflow(project, few, *lanes, "gpu0=1", warm=False)),
                "whisper command": (few, whisper_command(project, few)),
            }
            for way, (scenes, (stage_s, wall_s)) in ways.items():
                taken[way].append((stage_s / scenes, wall_s / scenes))
                sys.stderr.write(f"{way}: {stage_s:.1f} s, {wall_s:.1f} s in all\n")
    base = statistics.median(stage for stage, _ in taken["a loop, model loaded once"])
    tell = sys.stdout.write
    tell(f"{many} scenes ({few} for the slow ways), median of {arguments.rounds}\n")
    tell("                           s a scene  × loop   with the start of everything\n")
    for way, runs in taken.items():
        stage = statistics.median(run[0] for run in runs)
        wall = statistics.median(run[1] for run in runs)
        tell(f"{way:26} {stage:9.3f} {stage / base:7.2f} {wall:17.3f}\n")


if __name__ == "__main__":
    main()

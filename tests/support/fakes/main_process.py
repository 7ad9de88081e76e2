"""A stand-in for Snakemake's main process: holds the run lock, starts job scripts through a shell as Snakemake does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tapemill.config.schema import load_config
from tests.support.project import ROOT

JOB = """
import json, sys; from types import SimpleNamespace
from tests.support.fakes import lane_functions
from tapemill import lanes
from tapemill.jobs import entrypoint as script
spec = json.loads(sys.argv[1])
job = SimpleNamespace(**spec["job"])
def main(job):
    lanes.run_on_lane(job, getattr(lane_functions, spec["function"]), **spec["arguments"])
script.run_job(main, job)
"""
MAIN = f"""
import shlex, subprocess, sys; from pathlib import Path
from tapemill.process import run_lock as runlock
runlock.acquire(Path(".snakemake"))
print("held", flush=True)
for line in sys.stdin:
    job = shlex.join([sys.executable, "-c", {JOB!r}, line])
    print(subprocess.run(["bash", "-c", f"set -euo pipefail; {{job}}; true"]).returncode, flush=True)
"""
PATH = os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])


class MainRun:
    """One run in a folder."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": PATH, "XDG_RUNTIME_DIR": str(folder)}
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN],
            cwd=folder,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "terminal").open("a"),
        )
        assert self._read_line() == "held\n", (folder / "terminal").read_text()

    def start(
        self,
        function: Callable[..., object],
        *,
        lanes: Mapping[str, Any] | None = None,
        scene: str = "0000000",
        resources: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        """Start a job and do not wait for it; jobs follow one another."""
        job = {
            "rule": "enhance_scene",
            "log": [f"logs/enhance_scene/T01/{scene}.log"],
            "config": {"ffmpeg": None, "lanes": load_config({"lanes": lanes or {}})["lanes"]},
            "resources": {"gpu": 1, "gpu0": 1, "lane_device": "cpu"} if resources is None else resources,
            "wildcards": ["T01", scene],
        }
        spec = {"job": job, "function": function.__name__, "arguments": arguments}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(spec) + "\n")
        self.process.stdin.flush()

    def do(self, function: Callable[..., object], **how: Any) -> int:
        """Run a job; return its exit code."""
        self.start(function, **how)
        return int(self._read_line())

    def diary(self) -> list[dict[str, Any]]:
        """Return the entries that `lane_functions.note` wrote."""
        return [json.loads(line) for line in (self.folder / "diary").read_text().splitlines()]

    def log(self, scene: str = "0000000") -> str:
        """Return the log of a job."""
        return (self.folder / f"logs/enhance_scene/T01/{scene}.log").read_text()

    def _read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def main_run(folder: Path) -> Iterator[MainRun]:
    """Start a run in a folder; end it at the end."""
    run = MainRun(folder)
    with run.process:
        yield run
        assert run.process.stdin is not None
        run.process.stdin.close()
        run.process.kill()

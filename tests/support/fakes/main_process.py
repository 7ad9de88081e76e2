"""A stand-in for Snakemake's main process: holds the run lock, starts job scripts through a shell as Snakemake does."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

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

    def __init__(self, folder):
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
        assert self.process.stdout.readline() == "held\n", (folder / "terminal").read_text()

    def start(self, function, *, lanes=None, scene="0000000", resources=None, **arguments):
        """Start a job and do not wait for it; jobs follow one another."""
        job = {
            "rule": "enhance_scene",
            "log": [f"logs/enhance_scene/T01/{scene}.log"],
            "config": {"ffmpeg": None, "lanes": load_config({"lanes": lanes or {}})["lanes"]},
            "resources": {"gpu": 1, "gpu0": 1, "lane_device": "cpu"} if resources is None else resources,
            "wildcards": ["T01", scene],
        }
        spec = {"job": job, "function": function.__name__, "arguments": arguments}
        self.process.stdin.write(json.dumps(spec) + "\n")
        self.process.stdin.flush()

    def do(self, function, **how):
        """Do a job; returns its exit code."""
        self.start(function, **how)
        return int(self.process.stdout.readline())

    def diary(self):
        """What `standins.note` wrote."""
        return [json.loads(line) for line in (self.folder / "diary").read_text().splitlines()]

    def log(self, scene="0000000"):
        return (self.folder / f"logs/enhance_scene/T01/{scene}.log").read_text()


@contextmanager
def main_run(folder):
    run = MainRun(folder)
    with run.process:
        yield run
        run.process.stdin.close()
        run.process.kill()

"""A project whose jobs go to Slurm: start its run, disturb it, see how it ends."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

from tests.support.project import ROOT, this_checkout

# As the profile is, but for what a cluster of one machine needs not: it has no accounts, nor a slow file system.
QUICK = ["--slurm-no-account", "--slurm-status-command=squeue", "--slurm-init-seconds-before-status-checks=2"]
QUICK += ["--latency-wait=5"]
LONGEST_S = 900.0


class OnSlurm:
    """One run at a time."""

    def __init__(self, project, slurm):
        self.project, self.folder, self.slurm = project, project.folder, slurm
        self.names = set()
        """Of its runs, in the queue."""
        self._log = project.folder / "said"
        self._run = None

    def start(self, *arguments):
        """Begin a run of `all`; it goes on beside the test."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "all"]
        command += ["--profile", str(ROOT / "profiles" / "slurm"), "--directory", str(self.folder)]
        with self._log.open("w") as log:
            self._run = subprocess.Popen(
                [*command, *QUICK, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"COLUMNS": "250", "PYTHONPATH": this_checkout()},
            )

    def copy(self, folder):
        """What it has made so far, in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        project = copy.copy(self.project)
        project.folder = folder
        return OnSlurm(project, self.slurm)

    def kill(self):
        """`kill -9` of Snakemake, and of nothing else."""
        self._run.send_signal(signal.SIGKILL)
        self._run.wait()

    def interrupt(self):
        """Ctrl-C in its terminal."""
        os.killpg(self._run.pid, signal.SIGINT)

    def end(self):
        """The exit code of the run, once it ends."""
        deadline = time.monotonic() + LONGEST_S
        while self._run.poll() is None:
            self._note_name()
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(self.said())
            time.sleep(0.1)
        return self._run.returncode

    def said(self):
        """What the run said, and its jobs in the queue."""
        return f"{self._log.read_text()}\n{self.slurm.jobs()}"

    def jobs(self, rule="", states="all"):
        """Jobs that do a rule, alone or with others, of all runs in this folder that Slurm knows, in some states."""
        self._note_name()
        found = [job for job in self.slurm.jobs(states) if job["name"] in self.names]
        return [job for job in found if rule in job["comment"]]

    def at_work(self, rule):
        """Jobs of a rule, once one of them is writing a clip."""
        deadline = time.monotonic() + LONGEST_S
        while True:
            running = self.jobs(rule, "RUNNING")
            if running and any(map(_is_clip_with_content, self.project.half_made())):
                return running
            assert self._run.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def _note_name(self):
        """Remember what the run is called in the queue: it forgets that when it ends."""
        with suppress(FileNotFoundError):
            self.names |= set((self.folder / ".snakemake" / "slurm_runs").read_text().split())


def _is_clip_with_content(path):
    with suppress(FileNotFoundError):
        return path.parent.name == "enhanced" and path.suffix == ".mkv" and path.stat().st_size > 0
    return False

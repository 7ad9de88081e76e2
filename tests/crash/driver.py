"""Runs a small tape for real, strikes it at random moments and starts the very same command again.

After each blow that ends the run nothing of it is left, every file under a final name is what an undisturbed run makes,
and none that was finished is made again. At the end of a tape: those files, no others, and nothing to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest

import spoken
from counting import make_capture
from running import ROOT, Project
from striking import BLOWS, ONTO_PARTS, TOKEN, Strike, processes, strike

RECORDING = Path(__file__).parent / "recording"
LANES = ("--scheduler", "lanes", "--scheduler-lanes-device", "cpu", "--resources", "gpu0=2", "gpu1=2")
NETWORK = "resources/models/demo-compact.safetensors"
FRAMES, CUTS = 145, (50, 98)
# Both against hanging only. How long it took is reported; the aim, on a machine with nothing else to do, is 5 s.
GONE_WITHIN_S = 60.0
ENDS_WITHIN_S = 600.0


@dataclass(frozen=True)
class Undisturbed:
    """What a run makes that nobody disturbs."""

    digests: Mapping[str, str]
    """SHA-256 of each result, by its path; temporary cuts among them."""
    length_s: float
    unsynced: tuple[str, ...]
    """Results that got their names without having been written to disk before."""

    @property
    def kept(self) -> dict[str, str]:
        """Without what is temporary."""
        return {name: digest for name, digest in self.digests.items() if not _is_cut(name)}


def make_project(folder: Path) -> Project:
    """One tape whose run uses every kind of process: three scenes, a language to be voted on, a network."""
    project = Project(folder)
    shutil.copy(ROOT / NETWORK, folder / NETWORK)
    silent = folder / "silent.mkv"
    make_capture(silent, frames=FRAMES, interlaced="tff", size=(192, 160), cuts=CUTS, sound_start_s=None)
    with_speech(silent, folder / "capture.mkv")
    silent.unlink()
    chain = ["deinterlace", "denoise", {"network": {"model": "demo-compact"}}]
    project.configure(enhance={"preset": "good", "chain": chain})
    project.sheet({"tape": "T", "source": "capture.mkv", "field_order": "tff", "title": "Struck"})
    return project


def with_speech(source: Path, target: Path) -> None:
    """The pictures of `source` as they are, and two sentences beside them."""
    samples = spoken.recording()
    with av.open(str(source)) as pictures, av.open(str(target), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream_from_template(pictures.streams.video[0])
        audio = container.add_stream("pcm_s16le", rate=spoken.RATE_HZ)
        audio.layout = "mono"
        for packet in pictures.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="s16", layout="mono")
        frame.rate, frame.pts = spoken.RATE_HZ, 0
        for packets in (audio.encode(frame), audio.encode(None)):
            container.mux(packets)


def undisturbed(folder: Path) -> Undisturbed:
    """Run the tape once in peace."""
    project = make_project(folder)
    recorded = folder / "recorded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECORDED", str(recorded))
        patch.setenv("PYTHONPATH", str(RECORDING), prepend=os.pathsep)
        started = time.monotonic()
        run = project.run("all", "--notemp", *LANES, cores=4)
        length_s = time.monotonic() - started
    assert run.exit_code == 0, run.output
    found = results(project)
    synced = _synced(recorded.read_text().splitlines())
    unsynced = tuple(name for name, path in found.items() if str(path) not in synced)
    return Undisturbed({name: _digest(path) for name, path in found.items()}, length_s, unsynced)


def _synced(lines: Iterable[str]) -> set[str]:
    """Files that were synced under another name before they were renamed, their folders after that."""
    safe, renamed, named = set(), set(), set()
    for what, path, *target in (line.split("\t") for line in lines):
        if what == "rename":
            renamed |= set(target) if path in safe else set()
        else:
            safe.add(path)
            named |= {file for file in renamed if str(Path(file).parent) == path}
    return named


def results(project: Project) -> dict[str, Path]:
    """Files under final names, by their paths in the project. What is half-made has a hidden name or folder."""
    files = {str(path.relative_to(project.folder)): path for path in project.path("results").rglob("*")}
    return {
        name: path
        for name, path in files.items()
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts)
    }


@dataclass
class Driver:
    """All rounds of one test: a round is a tape from nothing to its end."""

    folder: Path
    truth: Undisturbed
    random: Random
    kills: int
    """Blows still to fall."""
    blows: Mapping[str, int] = field(default_factory=lambda: BLOWS)
    struck: list[Strike] = field(default_factory=list)
    rounds: int = 0
    slowest_end_s: float = 0.0
    """From a blow to the end of the last process of its run."""

    def drive(self) -> None:
        while self.kills:
            self.rounds += 1
            self._round(make_project(self.folder / f"round{self.rounds}"))
            shutil.rmtree(self.folder / f"round{self.rounds}")

    def report(self) -> str:
        blows = Counter(each.blow for each in self.struck)
        rules = Counter(rule for each in self.struck for rule in each.rules or ["(no job)"])
        told = [f"{len(self.struck)} blows in {self.rounds} tapes"]
        told += [
            f"{self.truth.length_s:.0f} s undisturbed; all processes gone after at most {self.slowest_end_s:.1f} s"
        ]
        told += [" · ".join(f"{what} {count}" for what, count in found.most_common()) for found in (blows, rules)]
        return "\n".join(told)

    def _round(self, project: Project) -> None:
        done: dict[str, int] = {}
        while True:
            exit_code, disturbed, output = self._start(project)
            self._check_whole(project)
            # What was finished and recorded at an earlier blow is still the same file: it was not made again.
            now = _inodes(project)
            again = [name for name, inode in done.items() if now.get(name) != inode]
            assert not again, f"made again although it was finished: {again}"
            done |= _recorded(project)
            if exit_code == 0:
                break
            assert disturbed, f"failed without a blow:\n{output}"
        found = {name: _digest(path) for name, path in results(project).items()}
        assert found == self.truth.kept, f"different: {sorted(found.items() ^ self.truth.kept.items())}\n{output}"
        half_made = [path for path in project.path("results").rglob("*") if path.is_file() and "partial" in str(path)]
        assert not half_made
        plan = project.run("all", "-n", *LANES)
        assert "Nothing to be done" in plan.output, plan.output

    def _start(self, project: Project) -> tuple[int, bool, str]:
        """One run of the command, to its end: exit code, whether it was struck, what it said."""
        token, said = uuid.uuid4().hex, project.path("said")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "all", *LANES]
        command += ["--profile", str(ROOT / "profiles" / "cpu"), "--directory", str(project.folder), "--cores", "4"]
        with said.open("w") as stream:
            main = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {TOKEN: token},
                start_new_session=True,
            )
        disturbed = self._strike_until_it_ends(main, token)
        struck = time.monotonic()
        while left := processes(token):
            assert time.monotonic() - struck < GONE_WITHIN_S, f"outlives its run: {left}"
            time.sleep(0.02)
        if disturbed:
            self.slowest_end_s = max(self.slowest_end_s, time.monotonic() - struck)
        return main.returncode, disturbed, said.read_text(errors="replace")

    def _strike_until_it_ends(self, main: subprocess.Popen, token: str) -> bool:
        disturbed = False
        while self.kills:
            try:
                main.wait(self.random.uniform(0, self.truth.length_s))
                return disturbed
            except subprocess.TimeoutExpired:
                self.struck.append(strike(token, main.pid, self.random, self.blows))
            self.kills -= 1
            disturbed = True
            if self.struck[-1].blow not in ONTO_PARTS:
                break
        main.wait(ENDS_WITHIN_S)
        return disturbed

    def _check_whole(self, project: Project) -> None:
        for name, path in results(project).items():
            assert name in self.truth.digests, f"{name} is no file of this tape"
            assert _digest(path) == self.truth.digests[name], f"{name} is not what an undisturbed run makes"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_cut(name: str) -> bool:
    return "/scenes/" in name


def _inodes(project: Project) -> dict[str, int]:
    return {name: path.stat().st_ino for name, path in results(project).items()}


def _recorded(project: Project) -> dict[str, int]:
    """Finished files, without those of jobs that Snakemake holds for running: one marker speaks for all of a job."""
    marks = [urlsafe_b64decode(path.name).decode() for path in project.path(".snakemake/incomplete").glob("*")]
    running = {_job(name) for name in marks}
    return {name: inode for name, inode in _inodes(project).items() if not _is_cut(name) and _job(name) not in running}


def _job(name: str) -> str:
    """What the outputs of one job have in common, and seldom those of two."""
    return name.partition(".")[0]

"""The tape that is struck, and what a run makes of it that nobody disturbs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen

import av
import numpy as np
import pytest

from tests.support.media import speech
from tests.support.media.frame_codes import make_capture
from tests.support.project import ROOT, Project, digest

RECORDING = Path(__file__).parent / "recording"
LANES = ("--scheduler", "lanes", "--scheduler-lanes-device", "cpu", "--resources", "gpu0=2", "gpu1=2")
NETWORK = "resources/models/demo-compact.safetensors"
FRAMES, CUTS = 145, (50, 98)
ROW = {"tape": "T", "source": "capture.mkv", "field_order": "tff", "title": "Struck"}


@dataclass(frozen=True)
class Undisturbed:
    """What a run makes that nobody disturbs."""

    digests: Mapping[str, str]
    """SHA-256 of each result, by its path; temporary cuts among them."""
    length_s: float
    rules: tuple[str, ...]
    """Of all its jobs."""
    unsynced: tuple[str, ...]
    """Results that got their names without having been written to disk before."""

    @property
    def kept(self) -> dict[str, str]:
        """Without what is temporary."""
        return {name: digest for name, digest in self.digests.items() if not is_cut(name)}


def make_project(
    folder: Path,
    *,
    frames: int = FRAMES,
    cuts: Sequence[int] = CUTS,
    keep_cuts: bool = False,
    pages: bool = False,
) -> Project:
    """One tape whose run uses every kind of process: three scenes, a language to be voted on, a network."""
    project = Project(folder)
    shutil.copy(ROOT / NETWORK, folder / NETWORK)
    silent = folder / "silent.mkv"
    make_capture(silent, frames=frames, interlaced="tff", size=(192, 160), cuts=cuts, sound_start_s=None)
    with_speech(silent, folder / "capture.mkv")
    silent.unlink()
    chain = ["deinterlace", "denoise", {"network": {"model": "demo-compact"}}]
    # On a cluster each scene is submitted by itself, so that there is always something to strike.
    cluster = {"group_minutes": 0.1}
    enhance = {"preset": "good", "chain": chain}
    project.configure(enhance=enhance, disk={"keep_cuts": keep_cuts}, cluster=cluster, report={"pages": pages})
    project.sheet(ROW)
    return project


def start(project: Project, said: Path, environment: Mapping[str, str], *options: str, cores: int = 4) -> Popen[bytes]:
    """Start the command in a session of its own; what it says goes to the file `said`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "all", *options]
    command += ["--profile", str(ROOT / "profiles" / "cpu"), "--directory", str(project.folder), "--cores", str(cores)]
    with said.open("w") as stream:
        return Popen(
            command,
            stdout=stream,
            stderr=STDOUT,
            stdin=DEVNULL,
            env={**os.environ, **environment},
            start_new_session=True,
        )


def with_speech(source: Path, target: Path) -> None:
    """The pictures of `source` as they are, and two sentences beside them."""
    samples = speech.recording()
    with av.open(str(source)) as pictures, av.open(str(target), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream_from_template(pictures.streams.video[0])
        audio = container.add_stream("pcm_s16le", rate=speech.RATE_HZ)
        audio.layout = "mono"
        for packet in pictures.demux(video=0):
            # The last one is empty. The first ones of Matroska with B-frames have no decoding time.
            if packet.size:
                packet.stream = video
                container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="s16", layout="mono")
        frame.rate, frame.pts = speech.RATE_HZ, 0
        for packets in (audio.encode(frame), audio.encode(None)):
            container.mux(packets)


def undisturbed(folder: Path) -> Undisturbed:
    """Run the tape once in peace."""
    project = make_project(folder, keep_cuts=True)
    recorded = folder / "recorded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECORDED", str(recorded))
        patch.setenv("PYTHONPATH", str(RECORDING), prepend=os.pathsep)
        started = time.monotonic()
        run = project.run("all", *LANES, cores=4)
        length_s = time.monotonic() - started
    assert run.exit_code == 0, run.output
    found = results(project)
    synced = _synced(recorded.read_text().splitlines())
    unsynced = tuple(name for name, path in found.items() if str(path) not in synced)
    return Undisturbed(
        {name: digest(path) for name, path in found.items()}, length_s, tuple(sorted(run.jobs)), unsynced
    )


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


def is_cut(name: str) -> bool:
    """Whether a result is a temporary cut."""
    return "/scenes/" in name

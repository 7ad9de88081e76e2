"""Stand-ins for the work of a job: functions that a worker finds by name, as it finds those of the stages."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

from tapemill.core import progress
from tapemill.core.errors import SceneError, WorkerLost
from tapemill.devices.device import Device
from tapemill.storage import atomic

LOG = logging.getLogger("tapemill.standins")
CALLS = {"in_this_process": 0}


def note(diary: str | Path, seconds: float = 0.0, *, device: Device) -> dict[str, Any]:
    """Work for a while; write process and times to the diary."""
    CALLS["in_this_process"] += 1
    started = time.time()
    LOG.info("working for %.1f s", seconds)
    time.sleep(seconds)
    entry = {
        "pid": os.getpid(),
        "start": started,
        "stop": time.time(),
        "calls": CALLS["in_this_process"],
        "kind": device.kind,
        "degrade_level": device.degrade_level,
        "nice": os.nice(0),
    }
    with Path(diary).open("a") as stream:
        stream.write(json.dumps(entry) + "\n")
    return entry


def speak_then_wait(flag: str | Path, *, device: Device) -> None:
    """Log a line, wait for a file, log another line."""
    LOG.info("the first line")
    while not Path(flag).exists():
        time.sleep(0.02)
    LOG.info("the last line")


def half_make(target: str | Path, *, device: Device) -> None:
    """Write half of a file, and hang."""
    with atomic.staged(Path(target)) as partial:
        partial.write_text("half")
        time.sleep(600)


def count(frames: int, *, device: Device) -> None:
    """Report progress after each frame, and facts at the end."""
    progress.REPORT_INTERVAL_S = 0.0
    counter = progress.Progress(frames)
    for _ in range(frames):
        time.sleep(0.02)
        counter.advance()
    progress.report("counted", frames=frames, model=["abacus"])


def fail(kind: str, *, device: Device) -> None:
    """Fail in one of several ways."""
    if kind == "scene":
        raise SceneError("this scene is corrupt", file="a.mkv", remedy="look at it")
    if kind == "memory":
        raise MemoryError
    if kind == "strange":

        class Strange(Exception):
            pass

        raise Strange("nobody can pickle me")
    if kind == "exit":
        os._exit(3)
    raise ZeroDivisionError("a fault of ours")


def start_child(flag: str | Path, *, device: Device) -> None:
    """Start a long ffmpeg, as a stage does, and wait for it."""
    from tapemill.media.ffmpeg import runner as ffmpeg

    Path(flag).write_text(str(os.getpid()))
    ffmpeg.run(
        ["-re", "-f", "lavfi", "-i", "anullsrc", "-t", "600", "-f", "null", "-"], concerns=Path(flag), timeout_s=900
    )


def array(size: int, *, device: Device) -> np.ndarray:
    """Return a result that is more than plain values."""
    return np.arange(size)


def ffmpeg_of(pid: int) -> list[int]:
    """Return the processes that `start_child` started in process `pid`."""
    done = subprocess.run(["pgrep", "-P", str(pid), "-f", "anullsrc"], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


def nap(target: str | Path, diary: str | Path, lane: str, seconds: float, fails: bool, *, device: Device) -> None:
    """Sleep as long as a scene would take; write lane and times to the diary. With `fails` only a retry succeeds."""
    started = time.time()
    time.sleep(seconds)
    entry = {"lane": lane, "pid": os.getpid(), "start": started, "stop": time.time(), "job": Path(target).name}
    with Path(diary).open("a") as stream:
        stream.write(json.dumps(entry) + "\n")
    marker = Path(f"{target}.failed")
    if fails and not marker.exists():
        marker.touch()
        raise WorkerLost("the first attempt fails")
    Path(target).write_text(lane)

"""Processes of a run, found wherever they went, and blows against them."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

TOKEN = "TAPEMILL_CRASH_TEST"
SCRIPT = re.compile(rb"\.snakemake/scripts/tmp[^/]*?\.(\w+)\.py\0")
# How often each blow falls, in parts. `group` is everything that a closed terminal takes along.
BLOWS = {"main": 4, "group": 3, "job": 4, "worker": 3, "ffmpeg": 4, "SIGTERM": 1, "Ctrl-C": 1}
ONTO_PARTS = {"job", "worker", "ffmpeg"}
"""Blows that the run itself survives."""
LOOK_FOR_S = 4.0


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    command: bytes
    """Arguments, each ended by a zero byte."""

    @property
    def rule(self) -> str | None:
        """Of a job script, its rule."""
        found = SCRIPT.search(self.command)
        return found[1].decode() if found and not self.program.startswith("bash") else None

    @property
    def program(self) -> str:
        return Path(os.fsdecode(self.command.split(b"\0")[0])).name

    @property
    def kind(self) -> str | None:
        if self.program.startswith("ffmpeg"):
            return "ffmpeg"
        if b"tapemill.lanes.worker" in self.command:
            return "worker"
        return "job" if self.rule else None


@dataclass(frozen=True)
class Strike:
    """One blow, and what was running when it fell."""

    blow: str
    rules: tuple[str, ...]
    """Rules struck: those of all running jobs, or of the one job, or of the job that the ffmpeg works for."""


def processes(token: str) -> list[Process]:
    """All that live and inherited the token, whoever their parent is by now."""
    mark = f"{TOKEN}={token}\0".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # A zombie has no environment any more.
            if mark in (folder / "environ").read_bytes():
                parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                found.append(Process(int(folder.name), parent, (folder / "cmdline").read_bytes()))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def strike(token: str, main: int, random: Random, blows: Mapping[str, int] = BLOWS) -> Strike:
    """Hit the run once; with a blow against a part that is not there for some seconds, its main process."""
    blow = random.choices(list(blows), list(blows.values()))[0]
    if blow in ONTO_PARTS:
        deadline = time.monotonic() + LOOK_FOR_S
        while time.monotonic() < deadline:
            alive = processes(token)
            victims = [process for process in alive if process.kind == blow]
            if victims:
                victim = random.choice(victims)
                _kill(victim.pid, signal.SIGKILL)
                return Strike(blow, tuple(filter(None, [_rule_of(victim, alive)])))
        blow = "main"
    rules = tuple(sorted(process.rule for process in processes(token) if process.rule))
    if blow in ("group", "Ctrl-C"):
        with suppress(ProcessLookupError):
            os.killpg(main, signal.SIGKILL if blow == "group" else signal.SIGINT)
    else:
        _kill(main, signal.SIGTERM if blow == "SIGTERM" else signal.SIGKILL)
    return Strike(blow, rules)


def _kill(pid: int, number: signal.Signals) -> None:
    # It may have ended by itself just now.
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _rule_of(victim: Process, alive: list[Process]) -> str | None:
    """The rule of a process, or of the next of its ancestors that has one."""
    by_pid = {process.pid: process for process in alive}
    at: Process | None = victim
    while at is not None:
        if at.rule:
            return at.rule
        if at.kind == "worker":
            return "a worker's job"
        at = by_pid.get(at.parent)
    return None

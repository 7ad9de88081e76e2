"""Work done in a forked process with limits on time, memory and file size, and what became of it."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tapemill.core.errors import TapemillError

GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What one input may take. The memory is what is asked of the kernel, most of which is never touched."""

    seconds: float = 120.0
    memory_bytes: int = 6 * GIBIBYTE
    file_bytes: int = GIBIBYTE // 2


@dataclass(frozen=True)
class Outcome:
    """How one input ended."""

    good: bool
    """It became a tape."""
    error: str
    """Class of the error, if it did not."""
    is_clear: bool
    """Whether that was an error of Tapemill's own."""
    told: str
    """The message, or the traceback."""
    left: tuple[str, ...]
    """Files that should not be there any more."""
    seconds: float

    @property
    def is_fault(self) -> bool:
        """Whether something happened that must not: a crash, a hang, another error, files left behind."""
        return bool(self.left) or not (self.good or self.is_clear)


@dataclass
class _Running:
    name: str
    folder: Path
    pipe: int
    started: float
    answer: bytes = b""


def run_all(
    jobs: Iterator[tuple[str, Path, Callable[[Path], None]]], limits: Limits, at_once: int
) -> Iterator[tuple[str, Outcome]]:
    """Run jobs of (name, folder, function of the folder), `at_once` side by side; yields what ended."""
    running: dict[int, _Running] = {}
    waiting = True
    while waiting or running:
        while waiting and len(running) < at_once:
            job = next(jobs, None)
            if job is None:
                waiting = False
                break
            pid, started = _fork(*job, limits)
            running[pid] = started
        by_pipe = {job.pipe: pid for pid, job in running.items()}
        ready, _, _ = select.select(list(by_pipe), [], [], 0.2)
        for pipe in ready:
            data = os.read(pipe, 1 << 16)
            running[by_pipe[pipe]].answer += data
            if not data:
                pid = by_pipe[pipe]
                yield running[pid].name, _ended(pid, running.pop(pid), None)
        for pid, job in list(running.items()):
            if time.monotonic() - job.started > limits.seconds:
                os.killpg(pid, signal.SIGKILL)
                yield job.name, _ended(pid, running.pop(pid), limits.seconds)


def _fork(name: str, folder: Path, work: Callable[[Path], None], limits: Limits) -> tuple[int, _Running]:
    (folder / "tmp").mkdir(parents=True)
    reader, writer = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(folder, work, limits, writer)
    os.close(writer)
    return pid, _Running(name, folder, reader, time.monotonic())


def _child(folder: Path, work: Callable[[Path], None], limits: Limits, writer: int) -> None:
    """Never returns."""
    status = 1
    try:
        os.setsid()
        told = os.open(folder / "told.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(told, 1)
        os.dup2(told, 2)
        faulthandler.enable(told)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
        for kind, most in (
            (resource.RLIMIT_AS, limits.memory_bytes),
            (resource.RLIMIT_FSIZE, limits.file_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(kind, (most, most))
        answer: dict[str, object] = {"good": True, "error": "", "is_clear": False, "told": ""}
        try:
            work(folder)
        except TapemillError as error:
            answer = {"good": False, "error": type(error).__name__, "is_clear": True, "told": str(error)}
        except BaseException as error:  # noqa: BLE001  whatever it is, it is what is looked for here
            answer = {"good": False, "error": type(error).__name__, "is_clear": False, "told": traceback.format_exc()}
        os.write(writer, json.dumps(answer).encode())
        status = 0
    finally:
        os._exit(status)


def _ended(pid: int, job: _Running, expired_s: float | None) -> Outcome:
    os.close(job.pipe)
    _, status = os.waitpid(pid, 0)
    seconds = time.monotonic() - job.started
    # Hidden files are what jobs write to before they give them their names.
    left = [*(job.folder / "tmp").rglob("*"), *job.folder.rglob(".*")]
    names = tuple(sorted(str(path.relative_to(job.folder)) for path in left))
    if expired_s is not None:
        return Outcome(False, "hang", False, f"still at work after {expired_s:.0f} s", names, seconds)
    if not job.answer:
        ending = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"status {status}"
        told = (job.folder / "told.txt").read_text(errors="replace")
        return Outcome(False, "crash", False, f"{ending}\n{told[-3000:]}", names, seconds)
    return Outcome(**json.loads(job.answer), left=names, seconds=seconds)


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """Inputs tried, good tapes, refusals by class, the slowest."""
    refused = Counter(outcome.error for outcome in outcomes.values() if outcome.is_clear)
    slowest = max(outcomes, key=lambda name: outcomes[name].seconds)
    return "\n".join(
        (
            f"inputs tried   {len(outcomes)}",
            f"good tapes     {sum(outcome.good for outcome in outcomes.values())}",
            f"refused        {refused.total()}: "
            + ", ".join(f"{name} {count}" for name, count in refused.most_common()),
            f"faults         {sum(outcome.is_fault for outcome in outcomes.values())}",
            f"slowest        {outcomes[slowest].seconds:.1f} s, {slowest}",
        )
    )

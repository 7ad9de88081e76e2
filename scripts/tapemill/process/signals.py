"""What signals do: a run that is asked to stop ends cleanly.

SIGTERM to the main process: nothing new is started, running jobs finish. At Ctrl-C the main process leaves a note, and
the job scripts remove what is half-made and end. Ctrl-C itself reaches them too, since they are in the terminal's
foreground process group (termios(3)), but they ignore it (`PREFIX`): it may come before they can handle it. What was
submitted to a cluster is cancelled. ffmpeg and workers lead sessions of their own and end with the job they work for.
A second Ctrl-C ends the main process at once, and everything else with it (`lifeline`): as safe as `kill -9`, only less
polite.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from . import heartbeat, liveness

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PREFIX = "set -euo pipefail; trap '' INT; "
"""Of every job's shell command: Snakemake's own prefix, and Ctrl-C ignored, also in what the shell starts."""
PAUSE_S = 0.25
SHOW_CURSOR = b"\x1b[?25h"  # the progress bar hides it


class Stopped(BaseException):
    """Somebody wants this job to end. Not an Exception: nothing is to catch it by accident and go on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)
        # As a shell reports a process that a signal has ended.
        self.exit_code = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """For a job: the first signal within the block raises Stopped; later ones do not disturb the cleaning up."""
    # What is ignored from the start stays so: `nohup`, or a background job of a shell script.
    before = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) is not signal.SIG_IGN}

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def obey(run: str | None) -> None:
    """For a job that is `stoppable`: have it stopped when the run with this id is, however early it was asked to."""
    if run is not None:
        threading.Thread(target=_obey, args=(_note(run),), name="stopping", daemon=True).start()


def finish_at_signals(executor: Any = None) -> None:
    """For Snakemake's main process, once its scheduler is there: SIGTERM and Ctrl-C let running jobs come to their end.

    Left alone, Ctrl-C would raise KeyboardInterrupt in the middle of Snakemake's bookkeeping; and SIGTERM can hang for
    ever, since Snakemake's handler takes a lock that the very thread it interrupts may hold (9.27.1,
    `JobScheduler.exit_gracefully`). So that handler gets a thread of its own, and both signals lead to it. With
    Snakemake's `executor` of a cluster Ctrl-C cancels what was submitted: a queue can take hours.
    """
    finish = signal.getsignal(signal.SIGTERM)
    if not callable(finish):
        return
    note = _note(liveness.own_run().id)

    def ask(number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=finish, args=(number, None), daemon=True).start()

    def cancel() -> None:
        with executor.lock:
            jobs = list(executor.active_jobs)
        executor.cancel_jobs(jobs)

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, _end_at_once)
        _say(
            "Ctrl-C: running jobs clean up and end, no other is started. Once more ends all at once; that is safe too."
        )
        # Without it, on a full disk, running jobs finish.
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
        ask(number, frame)
        if hasattr(executor, "cancel_jobs"):
            threading.Thread(target=cancel, daemon=True).start()

    signal.signal(signal.SIGTERM, ask)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, first)


def _obey(note: Path) -> None:
    while not note.exists():
        time.sleep(PAUSE_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _note(run: str) -> Path:
    return heartbeat.NOTES / run / "asked to stop"


def _end_at_once(number: int, _frame: FrameType | None) -> None:
    _say("Ctrl-C: all ends now; the same command goes on later.")
    heartbeat.end(liveness.own_run().id)
    if os.isatty(2):
        os.write(2, SHOW_CURSOR)
    os._exit(128 + number)


def _say(line: str) -> None:
    # The terminal's own writer may be the very code that the signal interrupted.
    os.write(2, f"\n{line}\n".encode())

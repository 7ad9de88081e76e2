"""Signal handling: a run that receives SIGTERM or Ctrl-C stops cleanly.

SIGTERM to the main process: nothing new is started, running jobs finish. At Ctrl-C the main process writes a stop file,
and the job scripts remove unfinished files and exit. Ctrl-C itself reaches them too, since they are in the terminal's
foreground process group (termios(3)), but they ignore it (`PREFIX`): it may come before they can handle it. Jobs
submitted to a cluster are cancelled. ffmpeg and workers lead sessions of their own and end with the job they work for.
A second Ctrl-C ends the main process at once, and everything else with it (`liveness`): as safe as `kill -9`.
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
"""Prefix of every job's shell command: Snakemake's own, and Ctrl-C ignored, also by children of the shell."""
POLL_INTERVAL_S = 0.25
SHOW_CURSOR = b"\x1b[?25h"  # the progress bar hides it


_stop_signal: str | None = None


def stop_signal() -> str | None:
    """Return the name of the signal that asked this run to stop, in its main process; None if there was none."""
    return _stop_signal


class Stopped(BaseException):
    """A signal asked this job to end. Not an Exception, so that nothing catches it by accident and goes on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)
        # The exit status that a shell reports for a process ended by a signal.
        self.exit_code = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """For a job: the first signal within the block raises Stopped; later ones do not interrupt the clean-up."""
    # Signals ignored from the start stay ignored: `nohup`, or a background job of a shell script.
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


def watch_stop_file(run: str | None) -> None:
    """Send this job, which is `stoppable`, SIGTERM once the stop file of the run with this id exists."""
    if run is not None:
        threading.Thread(target=_terminate_at, args=(_marker_path(run),), name="stopping", daemon=True).start()


def stop_running_jobs() -> None:
    """Ask the running jobs of this run to clean up and end. Without the stop file, on a full disk, they finish."""
    stop_file = _marker_path(liveness.own_run().id)
    with suppress(OSError):
        stop_file.parent.mkdir(parents=True, exist_ok=True)
        stop_file.touch()


def install_handlers(executor: Any = None) -> None:
    """Install handlers in Snakemake's main process, once its scheduler exists: SIGTERM and Ctrl-C end the run cleanly.

    Left alone, Ctrl-C would raise KeyboardInterrupt in the middle of Snakemake's bookkeeping; and SIGTERM can hang for
    ever, since Snakemake's handler takes a lock that the very thread it interrupts may hold (9.27.1,
    `JobScheduler.exit_gracefully`). So that handler gets a thread of its own, and both signals lead to it. With
    Snakemake's `executor` of a cluster Ctrl-C cancels what was submitted: a queue can take hours.
    """
    finish = signal.getsignal(signal.SIGTERM)
    if not callable(finish):
        return

    def finish_in_thread(number: int, _frame: FrameType | None) -> None:
        global _stop_signal  # noqa: PLW0603  a signal concerns the process
        _stop_signal = _stop_signal or signal.Signals(number).name
        threading.Thread(target=finish, args=(number, None), daemon=True).start()

    def cancel_submitted() -> None:
        with executor.lock:
            jobs = list(executor.active_jobs)
        executor.cancel_jobs(jobs)

    def on_first_interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, _exit_at_once)
        _print(
            "Ctrl-C: running jobs clean up and end, no other is started. Once more ends all at once; that is safe too."
        )
        stop_running_jobs()
        finish_in_thread(number, frame)
        if hasattr(executor, "cancel_jobs"):
            threading.Thread(target=cancel_submitted, daemon=True).start()

    signal.signal(signal.SIGTERM, finish_in_thread)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, on_first_interrupt)


def _terminate_at(stop_file: Path) -> None:
    while not stop_file.exists():
        time.sleep(POLL_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _marker_path(run: str) -> Path:
    return heartbeat.NOTES / run / "asked to stop"


def _exit_at_once(number: int, _frame: FrameType | None) -> None:
    _print("Ctrl-C: everything stops now; the same command continues later.")
    heartbeat.stop(liveness.own_run().id)
    if os.isatty(2):
        _write(SHOW_CURSOR)
    os._exit(128 + number)


def _print(line: str) -> None:
    _write(f"\n{line}\n".encode())


def _write(text: bytes) -> None:
    # Not through sys.stderr: the signal may have interrupted a write to it. At the other end of a pipe may be a program
    # that the same Ctrl-C has ended, such as tee(1).
    with suppress(OSError):
        os.write(2, text)

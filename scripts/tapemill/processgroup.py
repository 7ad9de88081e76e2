"""A process that leads a group of its own: bounded at its start, and ended together with all that it started."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
from contextlib import suppress

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def confine(most_bytes: int | None) -> None:
    """In the new process: let the kernel kill it with the job that started it (prctl(2)), and bound its files."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def await_end(process: subprocess.Popen[bytes]) -> int:
    """Wait until the process has ended, and leave it there: until it is reaped, its number is nobody else's.

    Returns the exit code, or the signal that ended it.
    """
    with suppress(ChildProcessError):
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return ended.si_status if ended else 0
    return process.wait()


def sweep(process: subprocess.Popen[bytes]) -> None:
    """End what the process leaves behind when it ends, or its pipes would never close."""
    await_end(process)
    kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started and left behind; it leads its own process group."""
    if process.returncode is None:
        # It may end between the question and the signal.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

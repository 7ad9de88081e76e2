"""How a run of ffmpeg ended, as the error it is."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tapemill.core.errors import DiskFull, ToolFailed, ToolKilled
from tapemill.storage.disk_space import mentions_disk_full

TAIL_LINES = 12
# ffmpeg ends with this code if it was asked to by a signal, after it has cleaned up. It is the last byte of -EPERM too,
# but then ffmpeg says so.
TERMINATED_CODE = 255
NOT_PERMITTED = os.strerror(errno.EPERM)


@dataclass(frozen=True)
class RunLimits:
    """What a run may not do."""

    timeout_s: float
    max_output_bytes: int | None
    """Of any one file that it writes."""
    forbidden: str | None
    """Words on stderr that tell of a failure its exit code knows nothing of."""


def raise_for_exit_status(
    code: int, *, concerns: Path, tail: Sequence[str], said: Sequence[str], limits: RunLimits, is_late: bool
) -> None:
    """Raise ToolFailed, ToolKilled or DiskFull unless all is well.

    `code` is the exit code, or minus the signal; `tail` the last lines of stderr, `said` those with forbidden words.
    """
    if is_late:
        raise ToolKilled(
            f"ffmpeg was stopped after its time limit of {limits.timeout_s:.0f} s",
            file=concerns,
            tool="ffmpeg",
            stderr_tail=tail,
            remedy="try again; if it stops at the same place once more, the file is damaged there",
        )
    if code == -signal.SIGXFSZ:
        raise ToolFailed(
            f"ffmpeg was stopped at {(limits.max_output_bytes or 0) / 1e6:.0f} MB, more than its work can make",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="the file may be damaged; play it to see what it is",
        )
    is_asked = code == TERMINATED_CODE and not any(NOT_PERMITTED in line for line in tail)
    if code < 0 or is_asked:
        ended_by = "a signal" if is_asked else signal.Signals(-code).name
        raise ToolKilled(
            f"ffmpeg was ended by {ended_by}",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="look for an out-of-memory message in the system log; the job can simply be tried again",
        )
    if code != 0 and mentions_disk_full(tail):
        raise DiskFull(
            "the disk is full",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="make room and run the same command again: what is finished stays",
        )
    if code != 0:
        raise ToolFailed(
            "ffmpeg failed",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="its last lines say why; play the file where it stopped to see whether it is damaged",
        )
    if said:
        raise ToolFailed(
            "ffmpeg met damage in a file that was made here",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=said,
            remedy="delete this file and run again; if it happens again, check the disk",
        )

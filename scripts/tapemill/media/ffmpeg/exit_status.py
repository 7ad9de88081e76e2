"""Exit status of an ffmpeg run, translated into errors."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tapemill.core.errors import DiskFull, NotWritable, ToolFailed, ToolKilled, WriteFailed
from tapemill.storage.disk_space import DENIED, FAILING, mentions_disk_full

TAIL_LINES = 12
# Exit code of ffmpeg after SIGTERM or SIGINT, when it has cleaned up. It is the last byte of -EPERM too, but then
# stderr mentions that.
TERMINATED_CODE = 255
NOT_PERMITTED = os.strerror(errno.EPERM)
# In lines about an output these mean that it was not written; in other lines, that an input was not read.
DISK_MESSAGES = tuple(f": {os.strerror(number)}" for number in sorted(FAILING))
DENIED_MESSAGES = tuple(f": {os.strerror(number)}" for number in sorted(DENIED))
OUTPUT_CONTEXT = "[out#"


@dataclass(frozen=True)
class RunLimits:
    """Limits of one ffmpeg run."""

    timeout_s: float
    max_output_bytes: int | None
    """Size limit of each file that it writes."""
    forbidden: str | None
    """Text on stderr that means a failure although the exit code is 0."""


def raise_for_exit_status(
    code: int,
    *,
    concerns: Path,
    tail: Sequence[str],
    forbidden_lines: Sequence[str],
    limits: RunLimits,
    timed_out: bool,
) -> None:
    """Raise ToolFailed, ToolKilled, DiskFull, NotWritable or WriteFailed unless the run succeeded.

    `code` is the exit code, or minus the signal; `tail` the last lines of stderr, `forbidden_lines` those with the
    forbidden text; `timed_out` is whether the run was killed at its time limit.
    """
    if timed_out:
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
    was_terminated = code == TERMINATED_CODE and not any(NOT_PERMITTED in line for line in tail)
    if code < 0 or was_terminated:
        ended_by = "a signal" if was_terminated else signal.Signals(-code).name
        raise ToolKilled(
            f"ffmpeg was ended by {ended_by}",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="check the system log for an out-of-memory message; the job can be retried",
        )
    if code != 0 and mentions_disk_full(tail):
        raise DiskFull(
            "the disk is full",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="free some space and run the same command again: finished results stay",
        )
    denied = [line for line in tail if OUTPUT_CONTEXT in line and line.endswith(DENIED_MESSAGES)]
    if code != 0 and denied:
        raise NotWritable(
            f"nothing can be written here: {denied[0].rpartition(': ')[2]}",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="see who owns the folder with the results (`ls -ld`) and how its disk is mounted (`findmnt`)",
        )
    if code != 0 and any(OUTPUT_CONTEXT in line and line.endswith(DISK_MESSAGES) for line in tail):
        raise WriteFailed(
            "the disk did not take what ffmpeg wrote",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="check the disk with the results (`dmesg`, `smartctl`) or the network drive; the job can be retried",
        )
    if code != 0:
        raise ToolFailed(
            "ffmpeg failed",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=tail,
            remedy="see its last lines; play the file where it stopped to see whether it is damaged",
        )
    if forbidden_lines:
        raise ToolFailed(
            "ffmpeg found damage in a file that was made here",
            file=concerns,
            tool="ffmpeg",
            tool_exit_code=code,
            stderr_tail=forbidden_lines,
            remedy="delete this file and run again; if it happens again, check the disk",
        )

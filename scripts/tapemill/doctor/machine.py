"""Checks of the machine: limits of the session, memory, clock."""

from __future__ import annotations

import os
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tapemill.core.result_paths import RESULTS
from tapemill.storage import disk_space
from tapemill.storage.mtimes import TOLERANCE_S

from .findings import CheckOptions, Finding, error, ok, warning

ROOT: Final = Path(__file__).parents[3]
# Snakemake's main process opens some files for each running job, a worker its models and sockets.
FEWEST_FILES: Final = 1024
# Semaphores of Python's multiprocessing, and what drivers share between processes.
LEAST_SHARED_BYTES: Final = 64 << 20
# A process with torch and Whisper's `small` in single precision.
LEAST_MEMORY_BYTES: Final = 2 << 30
SHARED: Final = Path("/dev/shm")  # noqa: S108  checked, never written to
MEMINFO: Final = Path("/proc/meminfo")
GROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
GIB: Final = 1 << 30
HOUR_S: Final = 3600


def check_limits(options: CheckOptions) -> Iterator[Finding]:
    """Check cores, open files, and the folders for temporary files."""
    from tapemill.process.runtime_dirs import runtime_folder

    yield ok(f"{len(os.sched_getaffinity(0))} cores may be used")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FEWEST_FILES:
        allowed = "any number is" if hard < 0 else f"up to {hard} are"
        yield warning(
            f"a process may open {soft} files, which may be too few for many jobs at a time",
            f"`ulimit -n 4096` before a run ({allowed} allowed)",
        )
    else:
        yield ok(f"a process may open {soft if soft >= 0 else 'any number of'} files")
    if not os.access(SHARED, os.W_OK):
        yield error(f"{SHARED} does not exist or is not writable", "mount a tmpfs there, with mode 1777")
    elif disk_space.free_bytes(SHARED) < LEAST_SHARED_BYTES:
        yield warning(
            f"{SHARED} has {disk_space.format_size(disk_space.free_bytes(SHARED))} left",
            "remove what crashed programs left there; in a container: `--shm-size 1g`",
        )
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        yield error("there is no folder for temporary files", "set TMPDIR to a folder that can be written to")
    yield ok("records of workers and GPUs are in the user's runtime folder", [("folder", str(runtime_folder()))])


def check_memory(options: CheckOptions) -> Iterator[Finding]:
    """Check the memory of the machine and of this session."""
    text = MEMINFO.read_text(encoding="ascii")
    total, free = (_bytes(text, name) for name in ("MemTotal", "MemAvailable"))
    limit = _group_limit()
    if limit is not None and limit < total:
        yield ok(f"this session may use {limit / GIB:.1f} GiB of memory, of {total / GIB:.1f} GiB")
    if min(free, limit or free) < LEAST_MEMORY_BYTES:
        yield warning(
            f"{free / GIB:.1f} GiB of memory are free",
            "end other programs, or use a smaller speech model and fewer `--cores`; jobs that do not fit fall back to"
            " settings that need less memory",
        )
    else:
        yield ok(f"{free / GIB:.1f} GiB of memory are free, of {total / GIB:.1f} GiB")


def check_clock(options: CheckOptions) -> Iterator[Finding]:
    """Check the clock against file times: results newer than now would be made again and again."""
    now = time.time()
    now_text = time.strftime("%F %T %Z", time.localtime(now))
    released = (ROOT / "requirements.lock").stat().st_mtime
    newest = [path for path in _newest_results() if path.stat().st_mtime > now + TOLERANCE_S]
    if newest:
        ahead_s = max(path.stat().st_mtime for path in newest) - now
        hours = ahead_s / HOUR_S
        # Clocks that were set to local time are off by whole hours, whoever wrote the files.
        zone = "; whole hours: a clock may be set to another time zone" if abs(hours - round(hours)) < 0.02 else ""
        yield warning(
            f"{len(newest)} results are from the future, by up to {hours:.1f} hours{zone}",
            "set the clock (`timedatectl`); the next run corrects the times of the results",
            [("it is now", now_text), *(("file", str(path)) for path in newest[:5])],
        )
    elif released > now + TOLERANCE_S:
        yield warning(
            "the clock is behind: Tapemill's own files are from the future",
            "set the clock (`timedatectl`), or `touch` the files if they were unpacked with wrong times",
            [("it is now", now_text)],
        )
    else:
        yield ok(f"it is {now_text}, and nothing is from the future")


def _newest_results() -> Iterator[Path]:
    """Records and tapes only: an archive has a million files."""
    for pattern in ("*/*.json", "*/*.mkv", "*/*.tsv", "*/*.srt"):
        yield from RESULTS.glob(pattern)


def _bytes(text: str, key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _group_limit() -> int | None:
    """Memory limit of the session's control group in bytes; None without a limit."""
    try:
        text = GROUP_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None

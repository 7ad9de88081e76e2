"""Free disk space, and one clear error where there is too little, whoever notices it.

Python reports it by an error number, ffmpeg as text, some libraries not at all; and a disk may be mounted read-only.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import DiskFull, FatalError, NotWritable, TapemillError

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
DENIED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# Errors of a disk, a network drive, or the way to it.
FAILING: Final = frozenset(
    {errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOTCONN, errno.ETIMEDOUT, errno.ESTALE, errno.EREMOTEIO}
)
# strerror(3) of a full disk, as ffmpeg repeats it.
FULL_MESSAGES: Final = tuple(os.strerror(number) for number in sorted(FULL))
# With less than this free, any failure to write is attributed to the full disk.
ALMOST_NOTHING_BYTES: Final = 256 << 10
GB: Final = 10**9
MB: Final = 10**6


def free_bytes(path: Path) -> int:
    """Return the bytes this user may still write on the file system of `path`, or of its nearest existing parent."""
    facts = os.statvfs(_existing(path))
    return facts.f_bavail * facts.f_frsize


def device_id(path: Path) -> int:
    """Return the device number of the file system of `path`, or of its nearest existing parent."""
    return _existing(path).stat().st_dev


def require(path: Path, needed_bytes: int, *, reserve_bytes: int, what: str) -> None:
    """Raise DiskFull unless `what` has the bytes it needs at `path` beside the reserve."""
    free = free_bytes(path)
    if needed_bytes > 0 and free < needed_bytes + reserve_bytes:
        kept = f", of which {format_size(reserve_bytes)} are to stay free (disk: reserve_gb)" if reserve_bytes else ""
        raise DiskFull(
            f"{what} needs up to {format_size(needed_bytes)}, and {format_size(free)} are free{kept}",
            file=_existing(path),
            remedy="free some space there (the rule `clean_tapes` removes intermediate files of finished tapes), or let"
            " results/<tape> be a link to a larger disk; then run the same command again: finished results stay",
        )


def check_job(outputs: Sequence[Path], resources: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raise DiskFull if less space is free than the job's rule states that it writes (resource `disk_mb`)."""
    writes = resources.get("disk_mb")
    if outputs and isinstance(writes, int):
        reserve_bytes = int(config.get("disk", {}).get("reserve_gb", 0) * GB)
        require(outputs[0].parent, writes * MB, reserve_bytes=reserve_bytes, what="this job")


def require_writable(folder: Path) -> None:
    """Create a folder and a file in it for a moment. Raises NotWritable or DiskFull if that is impossible."""
    trial = folder / f".writable-{os.getpid()}"
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            trial.write_bytes(b"x")
        finally:
            trial.unlink(missing_ok=True)


@contextmanager
def translate_os_errors(target: Path) -> Iterator[None]:
    """Raise DiskFull or NotWritable, naming `target`, for write errors of the block."""
    try:
        yield
    except DiskFull as error:
        if error.tool is None:
            raise
        # The runner of a tool names the file that it read, not the disk that is full.
        raise disk_full_error(target, stderr_tail=error.stderr_tail) from error
    except NotWritable as error:
        if error.tool is None:
            raise
        raise not_writable_error(target, error.what, stderr_tail=error.stderr_tail) from error
    except FatalError:
        raise
    except TapemillError as error:
        # A tool that exited with 0 although its last bytes were not written: its output is short because of the disk.
        if free_bytes(target) < ALMOST_NOTHING_BYTES:
            raise disk_full_error(target) from error
        raise
    except OSError as error:
        found = from_os_error(error, target)
        if found is None:
            raise
        raise found from error


def from_os_error(error: OSError, target: Path) -> FatalError | None:
    """Translate an OSError on writing `target`; None if it is not about free space or permissions."""
    if error.errno in FULL:
        return disk_full_error(target, str(error.strerror))
    named = str(error.filename or "")
    if error.errno == errno.EROFS or (error.errno in DENIED and _concerns(named, target)):
        return not_writable_error(Path(named or target), f"nothing can be written here: {error.strerror}")
    return None


def not_writable_error(target: Path, what: str, *, stderr_tail: Sequence[str] = ()) -> NotWritable:
    """Return the error for a target that must not be written; `what` names the reason."""
    return NotWritable(
        what,
        file=target,
        stderr_tail=stderr_tail,
        remedy="see who owns the folder (`ls -ld`) and how its disk is mounted (`findmnt`); one mounted read-only"
        " after an error should be checked first",
    )


def disk_full_error(target: Path, reason: str = FULL_MESSAGES[0], *, stderr_tail: Sequence[str] = ()) -> DiskFull:
    """Return the error for the full disk of `target`."""
    return DiskFull(
        f"the disk is full ({reason}): {format_size(free_bytes(target))} are left",
        file=target,
        stderr_tail=stderr_tail,
        remedy="free some space there, then run the same command again: finished results stay",
    )


def mentions_disk_full(lines: Sequence[str]) -> bool:
    """Whether the last lines of a tool report a full disk."""
    return any(words in line for line in lines for words in FULL_MESSAGES)


def format_size(number: int) -> str:
    """Format bytes for people."""
    if abs(number) >= GB:
        return f"{number / GB:.1f} GB"
    return f"{number / MB:.1f} MB"


def _existing(path: Path) -> Path:
    """Return the nearest existing path, going up."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _concerns(named: str, target: Path) -> bool:
    """Whether the file that an error names belongs to writing the target, rather than to reading an input."""
    return bool(named) and (
        str(target).startswith(named) or named.startswith(str(target.parent)) or f"{os.sep}.partial{os.sep}" in named
    )

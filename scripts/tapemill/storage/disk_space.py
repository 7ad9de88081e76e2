"""Room on a disk: how much there is, and one clear error where there is too little, whoever notices it and how.

Python says it by an error number, ffmpeg in words, some libraries not at all; and a disk may be mounted read-only.
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
LOCKED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# strerror(3) of these, as ffmpeg repeats them.
FULL_WORDS: Final = tuple(os.strerror(number) for number in sorted(FULL))
# With less than this left, whatever fails to be written fails for that.
NOTHING_BYTES: Final = 256 << 10
GB: Final = 10**9
MB: Final = 10**6


def free_bytes(place: Path) -> int:
    """What whoever runs this may still write on the file system of `place`, or of the folder above it that is there."""
    facts = os.statvfs(_there(place))
    return facts.f_bavail * facts.f_frsize


def device(place: Path) -> int:
    """Tells the file system of `place`, or of the folder above it that is there, from others."""
    return _there(place).stat().st_dev


def require(place: Path, needed_bytes: int, *, reserve_bytes: int, what: str) -> None:
    """Raise DiskFull unless `what` finds its bytes at `place` and leaves the reserve alone."""
    free = free_bytes(place)
    if needed_bytes > 0 and free < needed_bytes + reserve_bytes:
        kept = f", of which {size(reserve_bytes)} are to stay free (disk: reserve_gb)" if reserve_bytes else ""
        raise DiskFull(
            f"{what} needs up to {size(needed_bytes)}, and {size(free)} are free{kept}",
            file=_there(place),
            remedy="make room there (the rule `clean` removes what finished tapes do not need any more), or let"
            " results/<tape> be a link to a larger disk; then run the same command again: what is finished stays",
        )


def check_job(made: Sequence[Path], resources: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Raise DiskFull if there is less room than the job's rule says that it takes (resource `disk_mb`)."""
    writes = resources.get("disk_mb")
    if made and isinstance(writes, int):
        reserve_bytes = int(config.get("disk", {}).get("reserve_gb", 0) * GB)
        require(made[0].parent, writes * MB, reserve_bytes=reserve_bytes, what="this job")


def require_writable(folder: Path) -> None:
    """Make a folder and write a file there for a moment. Raises NotWritable or DiskFull if that is impossible."""
    trial = folder / f".writable-{os.getpid()}"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            trial.write_bytes(b"x")
        finally:
            trial.unlink(missing_ok=True)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Raise DiskFull or NotWritable, naming `target`, for what fails in the block because nothing can be written."""
    try:
        yield
    except DiskFull as error:
        if error.tool is None:
            raise
        # A tool's runner knows what it read, not what became full.
        raise full(target, stderr_tail=error.stderr_tail) from error
    except FatalError:
        raise
    except TapemillError as error:
        # A tool that ended well although its last bytes found no room: what its output lacks is not its fault.
        if free_bytes(target) < NOTHING_BYTES:
            raise full(target) from error
        raise
    except OSError as error:
        found = of_os_error(error, target)
        if found is None:
            raise
        raise found from error


def of_os_error(error: OSError, target: Path) -> FatalError | None:
    """What an error of the operating system means for `target`; None if it has nothing to do with room or rights."""
    if error.errno in FULL:
        return full(target, str(error.strerror))
    named = str(error.filename or "")
    if error.errno == errno.EROFS or (error.errno in LOCKED and _concerns(named, target)):
        return NotWritable(
            f"nothing can be written here: {error.strerror}",
            file=named or target,
            remedy="see who owns the folder (`ls -ld`) and how its disk is mounted (`findmnt`); one mounted read-only"
            " after an error needs a check before anything else",
        )
    return None


def full(target: Path, said: str = FULL_WORDS[0], *, stderr_tail: Sequence[str] = ()) -> DiskFull:
    """The error for a disk on which writing `target` ended."""
    return DiskFull(
        f"the disk is full ({said}): {size(free_bytes(target))} are left",
        file=target,
        stderr_tail=stderr_tail,
        remedy="make room there, then run the same command again: what is finished stays",
    )


def says_full(lines: Sequence[str]) -> bool:
    """Whether the last words of a tool say that the disk is full."""
    return any(words in line for line in lines for words in FULL_WORDS)


def size(number: int) -> str:
    """Bytes as people read them."""
    if abs(number) >= GB:
        return f"{number / GB:.1f} GB"
    return f"{number / MB:.1f} MB"


def _there(place: Path) -> Path:
    """The nearest folder that exists, going up."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return place


def _concerns(named: str, target: Path) -> bool:
    """Whether the file that an error names is on the way to the target, rather than one that was to be read."""
    return bool(named) and (
        str(target).startswith(named) or named.startswith(str(target.parent)) or f"{os.sep}.partial{os.sep}" in named
    )

"""What a run relies on from the file systems that it writes to, tried out before it does (docs/storage.md).

Network disks, and programs that pass for disks, promise less than they seem to: locks that everybody gets, no renaming
from folder to folder, file times of their own. What that does to a tape shows hours later, if ever.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import ConfigError, DiskFull, NotWritable, UnfitDisk

from . import atomic, disk_space

RESULTS: Final = Path("results")
PREFIX: Final = ".tapemill-probe-"
# A probe takes milliseconds. What is older was left by one that was killed.
LEFT_S: Final = 3600.0
# The coarsest file times there are, those of FAT.
COARSEST_S: Final = 2.0
# An odd second, and a fraction that only nanoseconds can tell.
MOMENT_NS: Final = 1_000_000_001_987_654_321
ELSEWHERE: Final = (
    "put the working folder on another disk, or mount this one otherwise: docs/storage.md says what is needed"
)


@dataclass(frozen=True)
class FileTimes:
    """How a file system counts them."""

    steps_s: float
    """A time that is set comes back earlier by less than this; 0 if it comes back as it was."""
    ahead_s: float
    """How far its clock is ahead of this machine's; negative if it is behind. A server has its own."""


def check_filesystem(folder: Path) -> FileTimes:
    """Lock, write, sync, rename and date some small files in a folder, which takes milliseconds and leaves nothing.

    Raises UnfitDisk for what the file system does not do, DiskFull and NotWritable.
    """
    _sweep(folder)
    with disk_space.translate_os_errors(folder):
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        try:
            _try_locks(folder, place)
            file = _try_renaming(folder, place)
            return _try_times(folder, file)
        finally:
            shutil.rmtree(place, ignore_errors=True)


def check_all_filesystems(folder: Path) -> None:
    """Try out each file system that tapes, or parts of them, are on, and that of Snakemake's `folder`.

    Raises UnfitDisk. Room and rights are for others to ask: `clean` has to run on a full disk.
    """
    for place in {disk_space.device_id(place): place for place in (*_parts_of_tapes(), folder, RESULTS)}.values():
        with suppress(DiskFull, NotWritable):
            check_filesystem(existing_parent(place))


def require_files(workflow: Any) -> None:
    """Raise ConfigError if Snakemake is to keep results elsewhere than in files (`--default-storage-provider`)."""
    provider = workflow.storage_settings.default_storage_provider
    if provider is not None:
        raise ConfigError(
            f"results are to be kept by the storage provider {provider!r}, but they have to be files in this folder:"
            " they are looked at while the run is planned, and each is put in its place by renaming",
            remedy="leave out --default-storage-provider; mount the storage and work there, or copy finished tapes to"
            " it (docs/storage.md)",
        )


def existing_parent(place: Path) -> Path:
    """The place, or the nearest folder above it that is there."""
    return next(path for path in (place, *place.absolute().parents) if path.is_dir())


def _parts_of_tapes() -> Iterator[Path]:
    """Folders of tapes and of their stages: each may be a link to another disk, or one that is mounted there."""
    for tape in _folders(RESULTS):
        yield tape
        yield from _folders(tape)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def _try_locks(folder: Path, place: Path) -> None:
    # Two descriptors are two holders (flock(2)), within a process as between them.
    with (place / "lock").open("w") as one, (place / "lock").open("w") as other:
        with _doing("has no locks (flock): two runs there could not tell of each other", folder):
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise UnfitDisk(
        f"the disk of {folder} gives one lock to two (flock): two runs there could not tell of each other",
        file=folder.resolve(),
        remedy=ELSEWHERE,
    )


def _try_renaming(folder: Path, place: Path) -> Path:
    """A file takes the place of another, from another folder, while somebody reads that one; as every result does."""
    new, old = place / "from" / "file", place / "to" / "file"
    for path in (new, old):
        path.parent.mkdir()
        path.write_text(path.parent.name, encoding="ascii")
    with _doing(
        "does not say when a file is written down (fsync), so that a power cut could take finished work", folder
    ):
        atomic.sync(new)
        atomic.sync(old.parent)
    renaming = _doing("cannot put a file in the place of another (rename), which every result is finished with", folder)
    with renaming, old.open("rb"):
        new.replace(old)
    if new.exists() or old.read_text(encoding="ascii") != new.parent.name:
        raise UnfitDisk(
            f"the disk of {folder} does not put one file in the place of another (rename), although it says so",
            file=folder.resolve(),
            remedy=ELSEWHERE,
        )
    return old


def _try_times(folder: Path, file: Path) -> FileTimes:
    now = time.time()
    file.write_bytes(b"")
    ahead_s = file.stat().st_mtime - now
    with _doing("refuses to set a file's time", folder):
        os.utime(file, ns=(MOMENT_NS, MOMENT_NS))
    off_s = (MOMENT_NS - file.stat().st_mtime_ns) / 1e9
    if not 0 <= off_s < COARSEST_S:
        raise UnfitDisk(
            f"the disk of {folder} does not keep the time that a file is given; what is to be made again is told by it",
            file=folder.resolve(),
            remedy=ELSEWHERE,
        )
    return FileTimes(off_s, ahead_s)


@contextmanager
def _doing(what: str, folder: Path) -> Iterator[None]:
    """Raise UnfitDisk for an error of the operating system, unless it is about room or rights."""
    try:
        yield
    except OSError as error:
        if disk_space.from_os_error(error, folder) is not None:
            raise
        raise UnfitDisk(
            f"the disk of {folder} {what}: {error.strerror}", file=folder.resolve(), remedy=ELSEWHERE
        ) from error


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - LEFT_S:
                shutil.rmtree(left, ignore_errors=True)

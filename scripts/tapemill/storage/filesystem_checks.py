"""Checks of the file systems that a run writes to, before it does: locks, renaming, file times (docs/storage.md).

Network and FUSE file systems may lack what a run relies on: locks that exclude, renaming from folder to folder, file
times that can be set. The damage to a tape would show hours later, if ever.
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
from tapemill.core.result_paths import RESULTS

from . import atomic, disk_space

PREFIX: Final = ".tapemill-probe-"
# A probe takes milliseconds. An older folder was left by a process that was killed.
STALE_S: Final = 3600.0
# The coarsest file times there are, those of FAT.
COARSEST_STEP_S: Final = 2.0
# An odd second, and a fraction that only nanoseconds can represent.
TRIAL_TIME_NS: Final = 1_000_000_001_987_654_321
REMEDY: Final = "put the working folder on another disk, or mount this one otherwise: see docs/storage.md"


@dataclass(frozen=True)
class FileTimes:
    """Resolution and clock of a file system's modification times."""

    steps_s: float
    """A time that is set is rounded down by less than this; 0 if it is exact."""
    ahead_s: float
    """Lead of its clock (a server has its own) over this machine's; negative if it is behind."""


def check_filesystem(folder: Path) -> FileTimes:
    """Lock, write, sync, rename and date small files in a folder. Takes milliseconds and leaves nothing behind.

    Raises UnfitDisk for what the file system cannot do, DiskFull and NotWritable.
    """
    _remove_stale_probes(folder)
    with disk_space.translate_os_errors(folder):
        probe = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
        try:
            _try_locks(folder, probe)
            file = _try_renaming(folder, probe)
            return _try_times(folder, file)
        finally:
            shutil.rmtree(probe, ignore_errors=True)


def check_all_filesystems(folder: Path) -> None:
    """Check each file system that tapes, or parts of them, are on, and that of Snakemake's `folder`.

    Raises UnfitDisk. Space and permissions are not checked here: `clean` has to run on a full disk.
    """
    for path in {disk_space.device_id(path): path for path in (*_tape_folders(), folder, RESULTS)}.values():
        with suppress(DiskFull, NotWritable):
            check_filesystem(existing_parent(path))


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


def existing_parent(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _tape_folders() -> Iterator[Path]:
    """Yield folders of tapes and of their stages: each may be a link to another disk, or a mount point."""
    for tape in _folders(RESULTS):
        yield tape
        yield from _folders(tape)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def _try_locks(folder: Path, probe: Path) -> None:
    # Two descriptors are two holders (flock(2)), within a process as between them.
    with (probe / "lock").open("w") as one, (probe / "lock").open("w") as other:
        with _unfit_if_refused("has no locks (flock): two runs there would not notice each other", folder):
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise UnfitDisk(
        f"the disk of {folder} gives one lock to two (flock): two runs there would not notice each other",
        file=folder.resolve(),
        remedy=REMEDY,
    )


def _try_renaming(folder: Path, probe: Path) -> Path:
    """Rename a file over another one, from another folder, while that one is open for reading, as for every result."""
    new, old = probe / "from" / "file", probe / "to" / "file"
    for path in (new, old):
        path.parent.mkdir()
        path.write_text(path.parent.name, encoding="ascii")
    with _unfit_if_refused(
        "does not confirm that a file is written (fsync), so a power cut could lose finished work", folder
    ):
        atomic.sync(new)
        atomic.sync(old.parent)
    renaming = _unfit_if_refused(
        "cannot replace a file by another (rename), which every result is finished with", folder
    )
    with renaming, old.open("rb"):
        new.replace(old)
    if new.exists() or old.read_text(encoding="ascii") != new.parent.name:
        raise UnfitDisk(
            f"the disk of {folder} does not replace a file by another (rename), although it reports success",
            file=folder.resolve(),
            remedy=REMEDY,
        )
    return old


def _try_times(folder: Path, file: Path) -> FileTimes:
    now = time.time()
    file.write_bytes(b"")
    ahead_s = file.stat().st_mtime - now
    with _unfit_if_refused("refuses to set a file's time", folder):
        os.utime(file, ns=(TRIAL_TIME_NS, TRIAL_TIME_NS))
    off_s = (TRIAL_TIME_NS - file.stat().st_mtime_ns) / 1e9
    if not 0 <= off_s < COARSEST_STEP_S:
        raise UnfitDisk(
            f"the disk of {folder} does not keep the time that a file is set to; it decides what is made again",
            file=folder.resolve(),
            remedy=REMEDY,
        )
    return FileTimes(off_s, ahead_s)


@contextmanager
def _unfit_if_refused(what: str, folder: Path) -> Iterator[None]:
    """Raise UnfitDisk for an OSError, unless it is about free space or permissions. `what` is the missing feature."""
    try:
        yield
    except OSError as error:
        if disk_space.from_os_error(error, folder) is not None:
            raise
        raise UnfitDisk(
            f"the disk of {folder} {what}: {error.strerror}", file=folder.resolve(), remedy=REMEDY
        ) from error


def _remove_stale_probes(folder: Path) -> None:
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - STALE_S:
                shutil.rmtree(left, ignore_errors=True)

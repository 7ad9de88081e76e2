"""Leases on the folders that a run writes results to: one writer for one result, wherever it comes from.

The run lock guards a working folder. Several working folders may write to one place: `results`, a tape's folder or that
of a stage may be a link, a mount, a share on a network. Each real folder therefore has a lease file. The kernel
excludes a second holder on this machine, and on others as far as the file system passes locks on. Where it does not,
the content of the file decides: its holder counts up a number in it, and a second run waits until it can tell whether
the number goes on. Clocks of two machines are never compared.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Final

from tapemill.core.errors import DiskFull, FatalError
from tapemill.core.result_paths import RESULTS
from tapemill.storage import disk_space, mounts

from .liveness import boot_id, own_run

LOG = logging.getLogger("tapemill.process")

LEASE: Final = ".tapemill.lease"
BEAT_INTERVAL_S: Final = 10.0
# A holder on another machine is gone if its number stands still for this long. A network drive may stall for a while.
SILENCE_S: Final = 60.0
# Jobs of a killed run end within this time; until then they may put a result in its place.
ORPHANS_S: Final = 5.0
# Another machine that began at the same moment has written its name by then, and caches of network drives are over.
SETTLE_S: Final = 4.0
POLL_S: Final = 1.0

_held: list[_Lease] = []
_lost: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Holder:
    """Content of a lease file."""

    run: str
    boot: str
    host: str
    folder: str
    """The working folder."""
    since: str
    command: str
    beat: int = 0
    is_released: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity of the run: `run` alone is unique on its machine only."""
        return self.host, self.boot, self.run

    def __str__(self) -> str:
        return f"run {self.run} on {self.host} in {self.folder}, since {self.since}: {self.command}"


@dataclass(frozen=True)
class _Lease:
    folder: Path
    file: IO[bytes]
    beats: bool
    """Whether its number is counted up; not for a folder inside a leased one."""


def change_marker() -> tuple[int, int] | None:
    """Return a value that changes when a run takes or releases the results folder; None if there never was one.

    Call it before Snakemake looks at any result.
    """
    try:
        about = (RESULTS / LEASE).stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns


def acquire(tapes: Iterable[str], planned_on: tuple[int, int] | None, lost: Callable[[str], None]) -> None:
    """Acquire the leases of the results folder and of the folders of `tapes`, until this process ends.

    `planned_on` is the `change_marker` from before the planning. `lost` is called from a thread, with a message, if a
    machine that took this run for gone has taken a folder over. Raises FatalError, naming the other run, if one of the
    folders has a writer, or had one during the planning.
    """
    global _lost  # noqa: PLW0603  the thread of the heartbeat reads it
    _lost = lost
    tape_folders = [RESULTS / tape for tape in tapes]
    folders = [RESULTS, *tape_folders, *(stage for folder in tape_folders for stage in _shared_stages(folder))]
    _allow_open_files(len(folders))
    inside = RESULTS.resolve()
    last = holder(RESULTS)
    was_free = planned_on == change_marker() or last is None or last.folder == str(Path.cwd())
    atexit.register(release)
    try:
        for folder in folders:
            real = folder.resolve()
            if not _make_folder(real):
                continue
            if folder.parent.parent == RESULTS:
                _check_tape_of(real)
            # On a full disk a run may clean up, and the check of free space says what is needed for more.
            with suppress(DiskFull):
                _held.append(_acquire(real, beats=real.parent != inside))
    except BaseException:
        release()
        raise
    if not was_free:
        release()
        raise FatalError(
            "a run of another working folder was just ending in the results folder while this one made its plan",
            file=inside,
            remedy="start the same command again",
        )
    threading.Thread(target=_beat, name="results lease", daemon=True).start()


def _make_folder(folder: Path) -> bool:
    """Make a folder; return whether it is there. On a full disk it may not be: then nobody writes to it."""
    with suppress(DiskFull), disk_space.translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder.is_dir()


def _shared_stages(folder: Path) -> Iterator[Path]:
    """Yield folders of a tape's stages that are links to another place, or that a link of others leads to."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir() and (entry.is_symlink() or (path / LEASE).exists()):
                yield path


def release() -> None:
    """Release all leases."""
    with _writing:
        while _held:
            lease = _held.pop()
            with suppress(OSError, ValueError):
                found = _read(lease.file)
                if found is None or found.key == _own().key:
                    _write(lease.folder / LEASE, replace(found or _own(), is_released=True))
            lease.file.close()


def _acquire(folder: Path, *, beats: bool) -> _Lease:
    path = folder / LEASE
    with disk_space.translate_os_errors(path):
        # NFS locks exclusively only what is open for writing. On a local disk it would keep the disk from being
        # remounted read-only.
        path.touch()
        mode = os.O_RDWR if _is_remote(folder) else os.O_RDONLY
        file = os.fdopen(os.open(path, mode | os.O_CLOEXEC), "rb", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        found = _read(file)
        file.close()
        raise _refused(folder, str(found) if found else "it has only just started") from None
    try:
        _wait_until_gone(folder, file)
        with disk_space.translate_os_errors(path):
            _write(path, _own())
        if beats and _is_remote(folder):
            time.sleep(SETTLE_S)
            found = holder(folder)
            if found is not None and found.key != _own().key:
                raise _refused(folder, str(found))
    except BaseException:
        file.close()
        raise
    return _Lease(folder, file, beats)


def _wait_until_gone(folder: Path, file: IO[bytes]) -> None:
    """Wait until the last holder of a lease is certainly gone. Raises FatalError if it is not."""
    found = _read(file)
    if found is None or found.is_released:
        return
    if found.boot == boot_id() and found.folder == str(Path.cwd()):
        # The run lock and the liveness of its jobs cover a killed run of this folder.
        return
    if found.boot == boot_id():
        # The kernel released the lock when its main process ended; its jobs follow.
        time.sleep(ORPHANS_S)
    elif _is_remote(folder):
        _require_silence(folder, found)


def _check_tape_of(folder: Path) -> None:
    """Refuse the folder of a stage that lies in the folder of a tape with another writer."""
    path = folder.parent / LEASE
    if any(lease.folder == folder.parent for lease in _held) or not path.exists():
        return
    with path.open("rb", buffering=0) as file:
        found = _read(file)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refused(folder.parent, str(found) if found else "it has only just started") from None
        _wait_until_gone(folder.parent, file)


def _require_silence(folder: Path, found: Holder) -> None:
    """Return if a holder on another machine is gone. Raises FatalError as soon as it counts on."""
    LOG.warning("%s: waiting for up to %.0f s for a sign of the last writer: %s", folder, SILENCE_S, found)
    end_s = time.monotonic() + SILENCE_S
    start = [holder(each) for each in (folder, folder.parent)]
    while time.monotonic() < end_s:
        # The folder of a tape has no count of its own: that of the results folder goes for it.
        now = [holder(each) for each in (folder, folder.parent)]
        if now[0] is not None and now[0].is_released:
            return
        if start != now:
            raise _refused(folder, str(now[0] or found))
        time.sleep(POLL_S)


def _refused(folder: Path, holder: str) -> FatalError:
    return FatalError(
        f"another run writes to this folder: {holder}",
        file=folder,
        remedy="wait for it, or stop it; nothing needs to be unlocked afterwards",
    )


def _beat() -> None:
    number = 0
    while True:
        time.sleep(BEAT_INTERVAL_S)
        number += 1
        for lease in [lease for lease in _held if lease.beats]:
            found = None
            # A full or absent drive: the next one may get through.
            with suppress(OSError), _writing:
                if lease not in _held:
                    continue
                found = holder(lease.folder)
                if found is None or found.key == _own().key:
                    _write(lease.folder / LEASE, replace(_own(), beat=number))
                    continue
            if found is not None:
                assert _lost is not None
                _lost(f"{lease.folder} was taken over, because this run gave no sign: {found}")
                return


def _own() -> Holder:
    global _self  # noqa: PLW0603  the start of the run is part of it
    if _self is None or _self.run != own_run().id:
        _self = Holder(
            run=own_run().id,
            boot=boot_id(),
            host=socket.gethostname(),
            folder=str(Path.cwd()),
            since=time.strftime("%F %T"),
            command=" ".join(sys.argv),
        )
    return _self


_self: Holder | None = None
# A beat that is written after the release would undo it. A signal may release while this thread does.
_writing = threading.RLock()


def holder(folder: Path) -> Holder | None:
    """Return the run that wrote to a folder last; None if there is none, or it is not known.

    The lease is opened anew each time, which network drives answer from the server.
    """
    try:
        with (folder / LEASE).open("rb", buffering=0) as file:
            return _read(file)
    except OSError:
        return None


def _read(file: IO[bytes]) -> Holder | None:
    """Read the content of a lease; None where there is none, or it is being written."""
    try:
        return Holder(**json.loads(os.pread(file.fileno(), 1 << 16, 0)))
    except (ValueError, TypeError):
        return None


def _write(path: Path, content: Holder) -> None:
    """Write the content in place: a new file would be another one to the kernel's lock."""
    data = json.dumps(asdict(content)).encode("utf-8", "backslashreplace")
    with path.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), data, 0)
        os.ftruncate(file.fileno(), len(data))
        os.fsync(file.fileno())


def _is_remote(folder: Path) -> bool:
    mount = mounts.mount_of(folder)
    return mount is None or mount.kind in mounts.NETWORK | mounts.CLOUD or mount.kind.startswith("fuse")


def _allow_open_files(count: int) -> None:
    """Raise the limit of open files by one a lease."""
    # Both are numbers: Linux allows no unlimited one of this kind (`fs.nr_open`, proc(5)).
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft + count, hard), hard))

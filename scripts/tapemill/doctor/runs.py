"""Checks of this folder for an active run, and for files that a killed run left."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tapemill.core.result_paths import RESULTS
from tapemill.lanes import lease
from tapemill.process import results_lease, run_lock
from tapemill.process.runtime_dirs import runtime_folder
from tapemill.storage import atomic, disk_space

from .findings import CheckOptions, Finding, ok, warning

FOLDER: Final = Path(".snakemake")
KERNEL_LOCKS: Final = Path("/proc/locks")


def check_runs(options: CheckOptions) -> Iterator[Finding]:
    """Check for an active run in this folder; a second one would be refused."""
    holder = run_lock.holder(FOLDER)
    if holder is None:
        yield ok("no run is active in this folder")
    elif holder["host"] != socket.gethostname():
        yield ok(f"the last run here was on {holder['host']}; it is unknown here whether it is still active")
    elif _holds(holder["pid"], FOLDER / run_lock.LOCK):
        yield warning(
            "a run is active in this folder, and another would be refused",
            "wait for it, or stop it; nothing needs to be unlocked afterwards",
            [
                ("process", str(holder["pid"])),
                ("since", str(holder["since"])),
                ("command", " ".join(map(str, holder["command"]))),
            ],
        )
    else:
        yield ok(f"no run is active in this folder; the last began at {holder['since']}")


def check_results_lease(options: CheckOptions) -> Iterator[Finding]:
    """Check for a run of another working folder, or another machine, that writes to the results folder."""
    found = results_lease.holder(RESULTS)
    if found is None or found.is_released or found.folder == str(Path.cwd()):
        return
    if found.host == socket.gethostname() and not _holds(found.run.partition("-")[0], RESULTS / results_lease.LEASE):
        yield ok(f"the results folder was last used by a run that was killed: {found}")
        return
    yield warning(
        "a run of another folder writes to the results folder, and another would be refused",
        "wait for it, or stop it; nothing needs to be unlocked afterwards",
        [("run", found.run), ("host", found.host), ("folder", found.folder), ("since", found.since)],
    )


def check_leases(options: CheckOptions) -> Iterator[Finding]:
    """List GPUs in use by runs of this user in any folder: another run would wait for them."""
    folder = runtime_folder()
    for file in sorted(folder.glob("*.lease")):
        if (pid := lease.facts(folder, file.stem).get("pid")) is not None and _holds(pid, file):
            yield ok(f"{file.stem} is in use: {lease.holder(folder, file.stem)}")


def check_leftovers(options: CheckOptions) -> Iterator[Finding]:
    """Check for files that a killed run left. The next run handles nearly all of them."""
    marked = _count(FOLDER / "incomplete")
    if marked:
        yield ok(f"files that a run left incomplete: {marked}; the next run makes them again")
    roots = [Path(root) for root in atomic.ROOTS]
    partial = [file for root in roots for place in atomic.STAGING_PATTERNS for file in _files(root, place)]
    if partial:
        size = disk_space.format_size(sum(file.stat().st_size for file in partial if file.exists()))
        yield ok(f"unfinished files: {len(partial)}, {size}; the next run removes those that no process writes")
    locks = _count(FOLDER / "locks")
    if locks:
        yield warning(
            "Snakemake's own lock is set: a run without a profile of Tapemill was killed here, or is active",
            "if no snakemake is running here: `snakemake --unlock`; profiles of Tapemill do not use it",
        )


def _holds(pid: object, lock: Path) -> bool:
    """Whether a process holds the lock on a file, by the kernel's list.

    Taking the lock to find out would make a run that starts at that moment fail.
    """
    inode = str(lock.stat().st_ino)
    for line in KERNEL_LOCKS.read_text(encoding="ascii").splitlines():
        # 1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF   (proc(5))
        fields = line.split()
        if fields[1] == "FLOCK" and fields[4] == str(pid) and fields[5].rpartition(":")[2] == inode:
            return True
    return False


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def _files(root: Path, pattern: str) -> Iterator[Path]:
    for place in root.glob(pattern):
        yield from (file for file in place.rglob("*") if file.is_file())

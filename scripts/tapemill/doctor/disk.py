"""Checks of the disks for results, records and models: free space, file system, and what a run relies on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tapemill.core.errors import DiskFull, NotWritable, UnfitDisk
from tapemill.core.result_paths import RESULTS
from tapemill.core.rule_catalog import tape_rules
from tapemill.storage import disk_space, filesystem_checks, mounts
from tapemill.storage.mounts import Mount
from tapemill.storage.mtimes import TOLERANCE_S

from .config import config, enhancement, setting
from .findings import CheckOptions, Finding, error, ok, warning

# Everything that a run writes to.
OUTPUT_FOLDERS: Final = (RESULTS, *map(Path, (".snakemake", "logs", "benchmarks", "events", "resources/models")))
# Files edited by hand one after the other are further apart than this.
COARSE_S: Final = 0.5


def check_folders(options: CheckOptions) -> Iterator[Finding]:
    """Check each file system that a run writes to."""
    # Several tapes or stages may be links to other disks.
    tapes = sorted(path for path in RESULTS.glob("*") if path.is_dir()) if RESULTS.is_dir() else []
    seen: dict[int, Path] = {}
    for folder in (*OUTPUT_FOLDERS, *tapes):
        existing = filesystem_checks.existing_parent(folder)
        if (number := existing.stat().st_dev) not in seen:
            seen[number] = folder
            yield from _check_disk(folder, existing)
    for folder in (*OUTPUT_FOLDERS, *tapes):
        existing = filesystem_checks.existing_parent(folder)
        if not os.access(existing, os.W_OK | os.X_OK):
            yield error(
                f"nothing can be written to {folder}",
                "check who owns the folder (`ls -ld`) and how its disk is mounted (`findmnt`)",
                [("folder", str(existing.resolve()))],
            )
    yield from _other_pitfalls()


def check_space(options: CheckOptions) -> Iterator[Finding]:
    """Check that there is enough free space for the tapes of the sheet, as a run does before it begins."""
    from tapemill.config.tape_sheet import read_sheet
    from tapemill.planning import disk_usage
    from tapemill.workflow.tape import tape_states

    tapes = tape_states({tape.tape: tape for _, tape in read_sheet(Path(setting("sheet"))) if tape.source.exists()})
    container = config()["tape"]["container"]
    wanted = {tape: set(tape_rules()) for tape in tapes if not (RESULTS / tape / f"{tape}.{container}").exists()}
    disk = config()["disk"]
    plans = disk_usage.plan_disks(tapes, wanted, enhance=enhancement().of_tape, disk=disk, cores=os.cpu_count() or 1)
    for plan in plans:
        plan.check(int(disk["reserve_gb"] * disk_space.GB))
        names = ", ".join(tape.tape for tape in plan.tapes)
        peak = disk_space.format_size(plan.peak_bytes)
        yield ok(f"space needed ({names}): up to {peak} of {_free(plan.folder)}")


def _check_disk(folder: Path, existing: Path) -> Iterator[Finding]:
    mount = mounts.mount_of(existing)
    kind = "of unknown kind" if mount is None else mount.kind
    facts = [("folder", str(existing.resolve())), ("disk", f"{kind}, mounted at {mount.folder}" if mount else kind)]
    reserve_bytes = int(setting("disk")["reserve_gb"] * disk_space.GB)
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        yield error(
            f"the disk of {folder} is mounted read-only",
            "mount it for writing (`findmnt`); check one that became read-only by itself first",
            facts,
        )
    elif disk_space.free_bytes(existing) < reserve_bytes:
        yield error(
            f"{folder}: {_free(existing)}, less than the reserve of {disk_space.format_size(reserve_bytes)}"
            " (disk: reserve_gb)",
            "free space there (`snakemake clean_tapes` removes what finished tapes do not need any more)",
            facts,
        )
    else:
        yield ok(f"{folder}: {_free(existing)} on {kind}", facts)
    yield from _check_filesystem(folder, existing, facts)
    if mount is not None:
        yield from _check_kind(folder, mount)


def _check_filesystem(folder: Path, existing: Path, facts: list[tuple[str, str]]) -> Iterator[Finding]:
    """Test what a run tests before it begins."""
    try:
        times = filesystem_checks.check_filesystem(existing)
    except (DiskFull, UnfitDisk) as exc:
        yield Finding("error", exc.what.replace(str(existing), str(folder)), facts, exc.remedy)
        return
    except NotWritable:
        # Reported for every folder, also for those that share a disk.
        return
    if times.steps_s > COARSE_S:
        yield warning(
            f"{folder}: file times have steps of more than {times.steps_s:.1f} s",
            "wait some seconds after changing a file by hand, or its change may be missed",
            facts,
        )
    if abs(times.ahead_s) > TOLERANCE_S:
        side = "ahead of" if times.ahead_s > 0 else "behind"
        yield warning(
            f"{folder}: the clock of its disk is {abs(times.ahead_s):.0f} s {side} this machine's",
            "have both set by one time server (`timedatectl`); captures from the future are refused",
            facts,
        )


def _check_kind(folder: Path, mount: Mount) -> Iterator[Finding]:
    """Warn of the pitfalls of some kinds of file systems."""
    if mount.kind in mounts.NETWORK:
        yield warning(
            f"{folder} is on a network disk ({mount.kind}): its locks may work within one machine only",
            "start runs of this folder on one machine at a time",
        )
    if mount.kind in mounts.MEMORY:
        yield warning(
            f"{folder} is in memory ({mount.kind}): a restart deletes all results",
            "put the working folder on a disk",
        )
    if mount.kind in mounts.SMALL_FILES:
        yield warning(
            f"{folder} is on a disk ({mount.kind}) where no file can be larger than 4 GB",
            "make results/<tape> a link to a folder on another disk, or put the working folder there",
        )
    if mount.kind in mounts.CLOUD:
        yield warning(
            f"{folder} is stored elsewhere by a program ({mount.kind}): renaming and syncing are not reliable",
            "work on a disk of this machine, and copy finished tapes",
        )


def _other_pitfalls() -> Iterator[Finding]:
    mark = mounts.synced_by(Path())
    if mark is not None:
        yield warning(
            "a program seems to synchronise this folder with other machines; it may replace new files by old ones",
            "exclude results, logs, events and .snakemake there, or work in another folder",
            [("found", str(mark))],
        )
    if mounts.ignores_case(Path()):
        yield warning(
            "this disk ignores case: names that differ only in capitals are one file",
            "check that no two captures or scene files differ only in capitals",
        )


def _free(folder: Path) -> str:
    return f"{disk_space.format_size(disk_space.free_bytes(folder))} free"

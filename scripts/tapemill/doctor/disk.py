"""The disks that results, records and models go to: room, kind, and whether they do what a run relies on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tapemill.core.errors import DiskFull, NotWritable, UnfitDisk
from tapemill.core.rule_catalog import tape_rules
from tapemill.storage import disk_space, filesystem_checks, mounts
from tapemill.storage.mounts import Mount
from tapemill.storage.mtimes import TOLERANCE_S

from .config import config, enhancement, setting
from .findings import CheckOptions, Finding, error, ok, warning

RESULTS: Final = Path("results")
# Everything that a run writes to.
PLACES: Final = (RESULTS, *map(Path, (".snakemake", "logs", "benchmarks", "events", "resources/models")))
# As far apart as files made one after the other by hand.
COARSE_S: Final = 0.5


def check_places(asked: CheckOptions) -> Iterator[Finding]:
    """Each file system that a run would write to."""
    # Several tapes or stages may be links to other disks.
    tapes = sorted(path for path in RESULTS.glob("*") if path.is_dir()) if RESULTS.is_dir() else []
    seen: dict[int, Path] = {}
    for place in (*PLACES, *tapes):
        there = filesystem_checks.existing_parent(place)
        if (number := there.stat().st_dev) not in seen:
            seen[number] = place
            yield from _look(place, there)
    for place in (*PLACES, *tapes):
        there = filesystem_checks.existing_parent(place)
        if not os.access(there, os.W_OK | os.X_OK):
            yield error(
                f"nothing can be written to {place}",
                "see who owns the folder (`ls -ld`) and how its disk is mounted (`findmnt`)",
                [("folder", str(there.resolve()))],
            )
    yield from _other_traps()


def check_plan(asked: CheckOptions) -> Iterator[Finding]:
    """Whether what the sheet's tapes will take is there, as a run asks before it begins."""
    from tapemill.config.tape_sheet import read_sheet
    from tapemill.planning import disk_usage
    from tapemill.workflow.tape import lookups

    tapes = lookups({tape.tape: tape for _, tape in read_sheet(Path(setting("sheet"))) if tape.source.exists()})
    container = config()["tape"]["container"]
    wanted = {tape: set(tape_rules()) for tape in tapes if not (RESULTS / tape / f"{tape}.{container}").exists()}
    disk = config()["disk"]
    plans = disk_usage.plan(tapes, wanted, enhance=enhancement().of_tape, disk=disk, cores=os.cpu_count() or 1)
    for plan in plans:
        plan.check(int(disk["reserve_gb"] * disk_space.GB))
        names = ", ".join(tape.tape for tape in plan.tapes)
        peak = disk_space.format_size(plan.peak_bytes)
        yield ok(f"room for what is to be made ({names}): up to {peak} of {_free(plan.folder)}")


def _look(place: Path, there: Path) -> Iterator[Finding]:
    mount = mounts.mount_of(there)
    kind = "of a kind that the kernel does not tell" if mount is None else mount.kind
    facts = [("folder", str(there.resolve())), ("disk", f"{kind}, mounted at {mount.folder}" if mount else kind)]
    reserve_bytes = int(setting("disk")["reserve_gb"] * disk_space.GB)
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        yield error(
            f"the disk of {place} is mounted read-only",
            "mount it for writing (`findmnt`); one that became read-only by itself needs a check before anything else",
            facts,
        )
    elif disk_space.free_bytes(there) < reserve_bytes:
        yield error(
            f"{place}: {_free(there)}, and {disk_space.format_size(reserve_bytes)} are to stay so (disk: reserve_gb)",
            "make room there (`snakemake clean_tapes` removes what finished tapes do not need any more)",
            facts,
        )
    else:
        yield ok(f"{place}: {_free(there)} on {kind}", facts)
    yield from _tried(place, there, facts)
    if mount is not None:
        yield from _kind(place, mount)


def _tried(place: Path, there: Path, facts: list[tuple[str, str]]) -> Iterator[Finding]:
    """What a run tries out before it begins."""
    try:
        times = filesystem_checks.check_filesystem(there)
    except (DiskFull, UnfitDisk) as exc:
        yield Finding("error", exc.what.replace(str(there), str(place)), facts, exc.remedy)
        return
    except NotWritable:
        # Told of every place, also of those that share a disk.
        return
    if times.steps_s > COARSE_S:
        yield warning(
            f"{place}: file times are counted in steps of more than {times.steps_s:.1f} s there",
            "wait some seconds after changing a file by hand, or its change may go unnoticed",
            facts,
        )
    if abs(times.ahead_s) > TOLERANCE_S:
        side = "ahead of" if times.ahead_s > 0 else "behind"
        yield warning(
            f"{place}: the clock of its disk is {abs(times.ahead_s):.0f} s {side} this machine's",
            "have both set by one time server (`timedatectl`); captures from the future are refused",
            facts,
        )


def _kind(place: Path, mount: Mount) -> Iterator[Finding]:
    """Traps of some kinds of file systems."""
    if mount.kind in mounts.NETWORK:
        yield warning(
            f"{place} is on a network disk ({mount.kind}): its locks may hold for one machine alone",
            "start runs of this folder on one machine at a time",
        )
    if mount.kind in mounts.MEMORY:
        yield warning(
            f"{place} is in memory ({mount.kind}): a restart takes all that is finished",
            "put the working folder on a disk",
        )
    if mount.kind in mounts.SMALL_FILES:
        yield warning(
            f"{place} is on a disk ({mount.kind}) where no file can be larger than 4 GB",
            "let results/<tape> be a link to a folder on another disk, or put the working folder there",
        )
    if mount.kind in mounts.CLOUD:
        yield warning(
            f"{place} is kept elsewhere by a program ({mount.kind}): renaming and syncing mean little there",
            "work on a disk of this machine, and copy finished tapes",
        )


def _other_traps() -> Iterator[Finding]:
    mark = mounts.synced_by(Path())
    if mark is not None:
        yield warning(
            "a program seems to keep this folder alike with other machines; it may put old files in the place of new",
            "exclude results, logs, events and .snakemake there, or work in another folder",
            [("its mark", str(mark))],
        )
    if mounts.ignores_case(Path()):
        yield warning(
            "on this disk names that differ in capitals alone are one file",
            "see that no two captures or scene files differ in nothing else",
        )


def _free(place: Path) -> str:
    return f"{disk_space.format_size(disk_space.free_bytes(place))} free"

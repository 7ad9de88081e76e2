"""Files that are either whole or not there, and what can be said about a file without reading all of it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tapemill.core.errors import TransientError

from . import disk_space


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a path to write to (see `workplace`); on success it is synced to disk and renamed, otherwise removed.

    The target therefore never exists half-written, even if the machine loses power. Raises FileNotFoundError if the
    block ends without having written anything, DiskFull and NotWritable if that is why it could not.
    """
    with disk_space.translate_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = staging_path(target)
        try:
            yield partial
            sync(partial)
            partial.replace(target)
            sync(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 with Unix line ends, whole or not at all. Bytes of file names that are no UTF-8 become escapes."""
    with staged(target) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(target: Path, value: Any) -> None:
    """Write JSON that is the same text for the same value."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


ROOTS = ("results", "resources")
FOLDER = ".partial"
# A place may lie in one of these folders, or two levels below: a tape, or a stage of a tape, on another disk.
PLACES = (FOLDER, f"*/{FOLDER}", f"*/*/{FOLDER}")


def staging_path(target: Path) -> Path:
    """Where to write what becomes `target`: the same path for the same target, its suffix kept, its folder made.

    The folder of the target must exist. A target that is inside a staging folder already, as in a `scratch_dir`, is
    staged beside itself.
    """
    place = None if FOLDER in target.parts else _place(target)
    if place is None:
        return target.with_name(f".{target.stem}.partial{target.suffix}")
    partial = place / FOLDER / working_folder_id() / _absolute(target).relative_to(_absolute(place))
    partial.parent.mkdir(parents=True, exist_ok=True)
    return partial


@contextmanager
def scratch_dir(target: Path) -> Iterator[Path]:
    """An empty folder for what is needed on the way to `target` and removed after that, on the same file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = staging_path(target)
    folder = partial.with_name(f"{partial.name}.scratch")
    # An attempt that was killed may have left one.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def consume_temp(file: Path, *, keep: bool) -> Iterator[Path]:
    """A temporary file for its only job, which removes it when the block ends well, unless it is to be kept.

    Snakemake would remove it too, but not while a checkpoint is open, or has failed: one bad tape would leave the cuts
    of all others lying there. Raises TransientError if the file is gone already.
    """
    if not file.exists():
        # Its job ended well, and then Snakemake could not write down that it did.
        raise TransientError(
            "this temporary file was used already", file=file, remedy="run the same command again: it is made anew"
        )
    yield file
    if not keep:
        file.unlink()


def clean_staging() -> None:
    """Remove what a run of this working folder left unfinished. Only for who holds its lock, while no job runs.

    Looks at the places alone, not at the results, of which an archive has a million. Where several working folders may
    share a disk, only what this one wrote is removed.
    """
    for root in map(Path, ROOTS):
        for folder in [found for pattern in PLACES for found in root.glob(pattern)]:
            if not folder.exists():
                # It was inside one that is gone by now.
                continue
            shutil.rmtree(folder if _is_ours_alone(folder) else folder / working_folder_id(), ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()


def working_folder_id() -> str:
    """Tells this working folder from others that write to the same disk, also those of other machines."""
    name = f"{socket.gethostname()}:".encode() + os.fsencode(Path.cwd().resolve())
    return hashlib.sha256(name).hexdigest()[:12]


def _absolute(path: Path) -> Path:
    """Without resolving links: a place counts as where it is named."""
    return Path(os.path.abspath(path))  # noqa: PTH100  Path.absolute keeps `..`


def _place(target: Path) -> Path | None:
    """The highest folder above a target on its own file system, within results/ or resources/; None elsewhere."""
    path, base = _absolute(target), Path.cwd()
    if not any(path.is_relative_to(base / root) for root in ROOTS):
        return None
    depth = len(path.relative_to(base).parts)
    above = list(target.parents)[: depth - 1]
    device = above[0].stat().st_dev
    # Folders on the way up, until one is elsewhere.
    place = above[0]
    for folder in above[1:]:
        if folder.stat().st_dev != device:
            break
        place = folder
    return place


def _is_ours_alone(folder: Path) -> bool:
    """Whether no other working folder writes here: it lies inside this one, neither through a link nor a mount."""
    base = Path.cwd().resolve()
    return folder.resolve().is_relative_to(base) and folder.stat().st_dev == base.stat().st_dev

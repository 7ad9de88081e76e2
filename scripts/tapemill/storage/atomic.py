"""Atomic files: written to a staging path, synced, renamed. Also scratch folders and temporary files."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tapemill.core.errors import TransientError

from . import disk_space

LOG = logging.getLogger("tapemill.storage")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a path to write to (see `staging_path`); on success it is synced and renamed, otherwise removed.

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
        except BaseException:
            # What cannot be removed must not hide the error; the end of the run removes it (`clean_staging`).
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def sync(path: Path) -> None:
    """Flush a file or folder to disk (fsync)."""
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
    """Write JSON as deterministic text: sorted keys, two blanks of indent."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


ROOTS = ("results", "resources")
STAGING_FOLDER = ".partial"
# Staging folders are in the roots, or up to two levels below: a tape, or a stage of a tape, may be on another disk.
STAGING_PATTERNS = (STAGING_FOLDER, f"*/{STAGING_FOLDER}", f"*/*/{STAGING_FOLDER}")


def staging_path(target: Path) -> Path:
    """Return where to write what becomes `target`: the same path each time, with its suffix. Creates its folder.

    The folder of the target must exist. A target that is inside a staging folder already, as in a `scratch_dir`, is
    staged beside itself.
    """
    root = None if STAGING_FOLDER in target.parts else _mount_root(target)
    if root is None:
        return target.with_name(f".{target.stem}.partial{target.suffix}")
    partial = root / STAGING_FOLDER / working_folder_id() / _absolute(target).relative_to(_absolute(root))
    partial.parent.mkdir(parents=True, exist_ok=True)
    return partial


@contextmanager
def scratch_dir(target: Path) -> Iterator[Path]:
    """Yield an empty folder for intermediate files of `target`, on the same file system; it is removed at the end."""
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
    """Yield a temporary file to the only job that uses it; removed when the block succeeds, unless `keep`.

    Snakemake would remove it too, but not while a checkpoint is open, or has failed: one bad tape would leave the cuts
    of all others on the disk. If it cannot be removed, that is logged: the work of the block is done. Raises
    TransientError if the file is gone already.
    """
    if not file.exists():
        # Its job succeeded, and then Snakemake could not record that.
        raise TransientError(
            "this temporary file was used already", file=file, remedy="run the same command again: it is made again"
        )
    yield file
    if not keep:
        try:
            file.unlink()
        except OSError as error:
            LOG.warning("the temporary file %s cannot be removed: %s", file, error)


def clean_staging() -> None:
    """Remove unfinished files of earlier runs in this working folder. Call it with the run lock, while no job runs.

    Visits the staging folders alone, not the results, of which an archive has a million. Where several working folders
    may share a disk, only what this one wrote is removed.
    """
    for root in map(Path, ROOTS):
        for folder in [found for pattern in STAGING_PATTERNS for found in root.glob(pattern)]:
            if not folder.exists():
                # It was inside one that was just removed.
                continue
            shutil.rmtree(folder if _is_private(folder) else folder / working_folder_id(), ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()


def working_folder_id() -> str:
    """Return an id that distinguishes this working folder from others on the same disk, also of other machines."""
    name = f"{socket.gethostname()}:".encode() + os.fsencode(Path.cwd().resolve())
    return hashlib.sha256(name).hexdigest()[:12]


def _absolute(path: Path) -> Path:
    """Make a path absolute without resolving links."""
    return Path(os.path.abspath(path))  # noqa: PTH100  Path.absolute keeps `..`


def _mount_root(target: Path) -> Path | None:
    """Return the highest folder above a target on the same file system, within results/ or resources/; else None."""
    path, base = _absolute(target), Path.cwd()
    if not any(path.is_relative_to(base / name) for name in ROOTS):
        return None
    depth = len(path.relative_to(base).parts)
    parents = list(target.parents)[: depth - 1]
    device = parents[0].stat().st_dev
    # Folders on the way up, until one is on another file system.
    root = parents[0]
    for folder in parents[1:]:
        if folder.stat().st_dev != device:
            break
        root = folder
    return root


def _is_private(folder: Path) -> bool:
    """Whether no other working folder writes here: it is inside this one, neither through a link nor a mount."""
    base = Path.cwd().resolve()
    return folder.resolve().is_relative_to(base) and folder.stat().st_dev == base.stat().st_dev

"""Mounted file systems of folders, from the kernel's mountinfo (proc(5))."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOUNTINFO: Final = Path("/proc/self/mountinfo")

NETWORK: Final = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4"),
        "smb3",
    }
)
MEMORY: Final = frozenset({"ramfs", "tmpfs"})
# Files are limited to 4 GB.
SMALL_FILES: Final = frozenset({"msdos", "vfat"})
# They transfer whole files at times of their own, and rename by copying.
CLOUD: Final = frozenset({"fuse.gcsfuse", "fuse.goofys", "fuse.onedriver", "fuse.rclone", "fuse.s3fs"})
# Marker files that synchronisation programs leave in the folders they watch.
SYNC_MARKS: Final = (".stfolder", ".dropbox", ".dropbox.cache", ".nextcloudsync.log", ".owncloudsync.log", ".sync")


@dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    folder: Path
    kind: str
    """Such as ext4."""
    is_read_only: bool


def mount_of(path: Path, mountinfo: Path = MOUNTINFO) -> Mount | None:
    """Return the file system that a folder is on; None if mountinfo cannot be read."""
    path = path.resolve()
    found = None
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        folder, options = Path(_unescaped(fields[4])), fields[5].split(",")
        # The last one mounted at a folder hides those before.
        if path.is_relative_to(folder) and (found is None or len(folder.parts) >= len(found.folder.parts)):
            found = Mount(folder, after.split(" ")[0], "ro" in options)
    return found


def synced_by(path: Path) -> Path | None:
    """Return the marker file of a synchronisation program in a folder or one above it; None if there is none."""
    path = path.resolve()
    for folder in (path, *path.parents):
        for name in SYNC_MARKS:
            if (folder / name).exists():
                return folder / name
    return None


def ignores_case(folder: Path) -> bool:
    """Whether names that differ in case only are one file in this folder, judged by the files it has."""
    for entry in os.scandir(folder):
        other = entry.name.swapcase()
        if other != entry.name:
            try:
                return (folder / other).samefile(entry.path)
            except OSError:
                return False
    return False


def _unescaped(text: str) -> str:
    """Decode the octal escapes of blanks, tabs, line ends and backslashes in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)

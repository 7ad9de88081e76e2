"""What kind of file system a place is on, as the kernel says (proc(5), mountinfo)."""

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
OF_MEMORY: Final = frozenset({"ramfs", "tmpfs"})
# A file ends at 4 GB.
SMALL_FILES: Final = frozenset({"msdos", "vfat"})
# They fetch and send whole files when they like, and rename by copying.
CLOUD: Final = frozenset({"fuse.gcsfuse", "fuse.goofys", "fuse.onedriver", "fuse.rclone", "fuse.s3fs"})
# What programs that keep folders alike on several machines leave in the folders they watch.
SYNC_MARKS: Final = (".stfolder", ".dropbox", ".dropbox.cache", ".nextcloudsync.log", ".owncloudsync.log", ".sync")


@dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    folder: Path
    kind: str
    """Such as ext4."""
    is_read_only: bool


def mount_of(place: Path, mountinfo: Path = MOUNTINFO) -> Mount | None:
    """The file system that a folder is on; None if the kernel does not say."""
    place = place.resolve()
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
        if place.is_relative_to(folder) and (found is None or len(folder.parts) >= len(found.folder.parts)):
            found = Mount(folder, after.split(" ")[0], "ro" in options)
    return found


def synced_by(place: Path) -> Path | None:
    """What marks a folder, or one above it, as kept alike with other machines; None if nothing does."""
    place = place.resolve()
    for folder in (place, *place.parents):
        for name in SYNC_MARKS:
            if (folder / name).exists():
                return folder / name
    return None


def ignores_case(place: Path) -> bool:
    """Whether names that differ in capitals alone are one file there, as far as what is there can tell."""
    for entry in os.scandir(place):
        other = entry.name.swapcase()
        if other != entry.name:
            try:
                return (place / other).samefile(entry.path)
            except OSError:
                return False
    return False


def _unescaped(text: str) -> str:
    """Blanks, tabs, line ends and backslashes are octal in mountinfo."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)

"""Small file system, mounted for a test: only there "no space left" is like on a real disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BLOCK = 4096


class SmallDisk:
    """tmpfs(5) in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def free_bytes(self) -> int:
        """Free space."""
        facts = os.statvfs(self.path)
        return facts.f_bavail * facts.f_frsize

    def fill(self, but_bytes: int = 0) -> None:
        """Fill all space but so many bytes."""
        with (self.path / "balloon").open("ab") as balloon:
            balloon.write(bytes(max(0, self.free_bytes - but_bytes) // BLOCK * BLOCK))

    def empty(self) -> None:
        """Free the space that `fill` took."""
        (self.path / "balloon").unlink()

    def grow(self, size: str) -> None:
        """Change the size, as mount(8) takes it."""
        self._mount(f"remount,size={size}")

    def lock(self) -> None:
        """Make it read-only, even for root."""
        self._mount("remount,ro")

    def unlock(self) -> None:
        """Make it writable again."""
        self._mount("remount,rw")

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-o", options, self.path], check=True, capture_output=True)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a file system of `size` (as mount(8) takes it) at a new folder. Skips where that is not allowed."""
    path.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=0", "tapemill-test", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a file system can be mounted by root only: {done.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", path], check=True)

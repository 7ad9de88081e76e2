"""A small file system of its own, mounted for a test: only there is "no space left" what it is on a real disk."""

import os
import subprocess
from contextlib import contextmanager

import pytest

BLOCK = 4096


class SmallDisk:
    """A tmpfs (tmpfs(5)) in memory."""

    def __init__(self, path):
        self.path = path

    @property
    def free_bytes(self):
        facts = os.statvfs(self.path)
        return facts.f_bavail * facts.f_frsize

    def fill(self, but_bytes=0):
        """Take all room but so many bytes."""
        with (self.path / "balloon").open("ab") as balloon:
            balloon.write(bytes(max(0, self.free_bytes - but_bytes) // BLOCK * BLOCK))

    def empty(self):
        """Give it back."""
        (self.path / "balloon").unlink()

    def grow(self, size):
        self._mount(f"remount,size={size}")

    def lock(self):
        """From now on nothing can be written here, not even by root."""
        self._mount("remount,ro")

    def unlock(self):
        self._mount("remount,rw")

    def _mount(self, options):
        subprocess.run(["mount", "-o", options, self.path], check=True, capture_output=True)


@contextmanager
def small_disk(path, size):
    """Mount a file system of `size` (as mount(8) takes it) at a new folder. Skips where that is not allowed."""
    path.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=0", "tapemill-test", path]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a file system can be mounted by root only: {done.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", path], check=True)

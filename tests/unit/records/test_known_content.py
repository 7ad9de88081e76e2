"""Content of captures by path, size, times and inode of their files."""

import json
import os

import pytest

from tapemill.records import known_content
from tapemill.records.capture import CaptureHashes, CheckedCapture, CheckedFile, HashedFile
from tapemill.storage.mounts import Mount

SAMPLED = "100-0123456789abcdef"


@pytest.fixture
def capture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known_content._has_inodes.cache_clear()
    path = tmp_path / "a.mkv"
    path.write_bytes(b"content")
    yield path
    known_content._has_inodes.cache_clear()


def touch(path):
    path.touch()
    return path


def replace_keeping_size_and_time(path):
    about = path.stat()
    path.with_name("other").write_bytes(b"another")
    os.utime(path.with_name("other"), ns=(about.st_atime_ns, about.st_mtime_ns))
    return path.with_name("other").rename(path)


def set_time_back(path):
    about = path.stat()
    path.write_bytes(b"another")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    return path


@pytest.mark.parametrize(
    "change", [touch, lambda path: path.rename(path.with_name("b.mkv")), replace_keeping_size_and_time, set_time_back]
)
def test_another_path_time_or_inode_is_another_state(capture, change):
    before = known_content.file_state(capture)
    assert known_content.file_state(capture) == before
    assert known_content.file_state(change(capture)) != before


@pytest.mark.parametrize("kind", ["cifs", "exfat", "fuse.sshfs", "fuseblk", "vfat"])
def test_where_inodes_change_with_each_mount_they_do_not_count(capture, monkeypatch, kind):
    monkeypatch.setattr("tapemill.storage.mounts.mount_of", lambda path: Mount(path, kind, is_read_only=False))
    before = known_content.file_state(capture)
    assert known_content.file_state(replace_keeping_size_and_time(capture)) == before
    assert known_content.file_state(touch(capture)) != before


def test_the_newest_record_that_vouches_replaces_older_ones(capture):
    file = CheckedFile("state", SAMPLED, "a" * 64)
    first, second = (known_content.check_file("T", state) for state in ("1" * 16, "2" * 16))
    assert not known_content.has_checks("T")
    known_content.vouch(CheckedCapture((file,)), first)
    known_content.vouch(CheckedCapture((file,)), second)
    assert not first.exists()
    assert json.loads(second.read_text())["files"][0]["state"] == "state"
    assert known_content.checked_files("T") == {"state": file}
    assert not known_content.changed_files("T")
    known_content.note_changed("T", CheckedCapture((file,)), "3" * 16)
    assert known_content.changed_files("T") == {"state": file}


def hashes(*files):
    return CaptureHashes(tuple(HashedFile("a.mkv", 100, fingerprint, sha256) for fingerprint, sha256 in files))


def test_content_with_the_same_samples_has_a_longer_fingerprint():
    recorded = hashes((SAMPLED, "a" * 64))
    assert known_content.identity(SAMPLED, "a" * 64, recorded) == SAMPLED
    assert known_content.identity(SAMPLED, "b" * 64, None) == SAMPLED
    other = known_content.identity(SAMPLED, "b" * 64, recorded)
    assert other == f"{SAMPLED}-{'b' * 16}"
    # It keeps that while it is the content of the tape.
    assert known_content.identity(SAMPLED, "b" * 64, hashes((other, "b" * 64))) == other
    assert known_content.recorded_identities(hashes((other, "b" * 64))) == {SAMPLED: other}
    assert known_content.recorded_identities(None) == {}

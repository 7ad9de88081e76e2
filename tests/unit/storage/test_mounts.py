"""Mounted file systems of folders, from the text of the kernel."""

import os
from pathlib import Path

import pytest

from tapemill.storage.mounts import Mount, ignores_case, mount_of, synced_by

MOUNTINFO = """\
21 1 0:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:2 / /media rw - ext4 /dev/sdb1 rw
23 22 0:3 / /media/my\\040tapes ro,noatime - nfs4 nas:/tapes rw
24 22 0:4 / /media rw - btrfs /dev/sdc1 rw
"""


@pytest.fixture
def mountinfo(tmp_path):
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTINFO)
    return path


@pytest.mark.parametrize(
    ("folder", "mount"),
    [
        ("/home", ("/", "ext4", False)),
        ("/media/my tapes/1994", ("/media/my tapes", "nfs4", True)),
        # The later of two at the same folder hides the other.
        ("/media/other", ("/media", "btrfs", False)),
    ],
)
def test_the_last_mount_above_a_folder_is_its_own(mountinfo, folder, mount):
    assert mount_of(Path(folder), mountinfo) == Mount(Path(mount[0]), *mount[1:])


def test_nothing_is_known_where_the_kernel_gives_no_list(tmp_path):
    assert mount_of(tmp_path, tmp_path / "none") is None


def test_a_mark_of_a_synchronisation_program_is_found_in_all_folders_above(tmp_path):
    folder = tmp_path / "results" / "T01"
    folder.mkdir(parents=True)
    assert synced_by(folder) is None
    (tmp_path / ".stfolder").mkdir()
    assert synced_by(folder) == tmp_path / ".stfolder"


def test_names_that_differ_in_case_are_two_files_here(tmp_path):
    assert not ignores_case(tmp_path)
    (tmp_path / "123").touch()
    assert not ignores_case(tmp_path)
    (tmp_path / "a").touch()
    assert not ignores_case(tmp_path)
    (tmp_path / "A").touch()
    assert not ignores_case(tmp_path)


def test_a_folder_in_which_each_name_is_there_in_other_capitals_ignores_case(tmp_path):
    (tmp_path / "a").touch()
    # As such a disk answers: the other name is the same file.
    os.link(tmp_path / "a", tmp_path / "A")
    assert ignores_case(tmp_path)

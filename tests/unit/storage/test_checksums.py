"""Manifest of a folder: sha256sum reads it, and no damage to it goes unnoticed."""

import subprocess

import pytest

from tapemill.core.errors import InputError
from tapemill.storage.checksums import (
    MANIFEST,
    is_changed,
    mark_changed,
    read_checksums,
    unmark_changed,
    write_checksums,
)
from tapemill.storage.fingerprint import sha256

NAMES = ("T01.mkv", "subtitles/0000000.srt", "T01.en.srt")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "subtitles").mkdir()
    for name in NAMES:
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path, {name: sha256(tmp_path / name) for name in NAMES})
    return tmp_path


def test_what_is_written_is_read_back_and_sha256sum_agrees(folder):
    assert read_checksums(folder) == {name: sha256(folder / name) for name in NAMES}
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", MANIFEST], cwd=folder, check=True)


def test_a_folder_without_a_manifest_has_no_checksums(tmp_path):
    assert read_checksums(tmp_path) == {}


def test_a_tape_counts_as_changed_until_its_manifest_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_changed("T01")
    mark_changed("T01")
    mark_changed("T01")
    assert is_changed("T01") and not is_changed("T02")
    unmark_changed("T01")
    unmark_changed("T01")
    assert not is_changed("T01")


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [*lines, lines[0]],
        lambda lines: [lines[0].replace("  ", " "), *lines[1:]],
        lambda lines: [f"{lines[0][:63]}g{lines[0][64:]}", *lines[1:]],
        lambda lines: [lines[0].replace("T01", "../T01"), *lines[1:]],
        lambda lines: lines[::-1],
        lambda lines: [*lines[:-1], lines[-1].rstrip()],
        lambda lines: ["\n", *lines],
    ],
    ids=["twice", "one blank", "no hash", "another folder", "order", "cut off", "blank line"],
)
def test_a_damaged_manifest_is_an_error_with_a_remedy(folder, damage):
    path = folder / MANIFEST
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))
    with pytest.raises(InputError, match="damaged") as caught:
        read_checksums(folder)
    assert caught.value.file == path
    assert "restore it from a copy" in caught.value.remedy

"""Hashes of a tape's files: from its checksums, or as far as an older provenance has them."""

import shutil

import pytest

from tapemill.core.errors import InputError
from tapemill.storage.checksums import MANIFEST, write_checksums
from tapemill.verification.recorded import recorded_hashes
from tests.support.records import PROVENANCE_FORMAT_2

HASHES = {"T01.mkv": "0" * 64, "T01.srt": "1" * 64, "T01.en.vtt": "2" * 64, "enhanced/0000000.mkv": "3" * 64}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "T01"
    folder.mkdir()
    return folder


def test_the_checksums_cover_all_files_and_results_are_the_tape_and_its_subtitles(folder):
    write_checksums(folder, HASHES)
    recorded = recorded_hashes(folder)
    assert recorded.files == HASHES
    assert recorded.is_complete
    assert set(recorded.results) == {"T01.mkv", "T01.srt", "T01.en.vtt"}


def test_nothing_is_recorded_of_a_folder_without_records(folder):
    recorded = recorded_hashes(folder)
    assert (recorded.files, recorded.is_complete) == ({}, False)


def test_a_tape_of_an_older_version_has_hashes_of_its_results(folder):
    shutil.copy(PROVENANCE_FORMAT_2, folder / "provenance.json")
    recorded = recorded_hashes(folder)
    assert not recorded.is_complete
    assert {"T01.mkv", "T01.srt", "T01.vtt"} <= set(recorded.files)
    assert recorded.results == recorded.files


@pytest.mark.parametrize("name", [MANIFEST, "provenance.json"])
def test_a_damaged_record_is_an_error(folder, name):
    (folder / name).write_text("damaged\n")
    with pytest.raises(InputError, match="damaged") as caught:
        recorded_hashes(folder)
    assert caught.value.file == folder / name

"""Results with the content that their tape was finished with, whatever their file times."""

import pytest

from tapemill.storage import checksums, fingerprint
from tapemill.verification import as_recorded
from tapemill.verification.as_recorded import is_as_recorded


@pytest.fixture
def tape(tmp_path, monkeypatch):
    """A tape's folder with checksums of a subtitle file, a clip and the tape."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "T"
    (folder / "enhanced").mkdir(parents=True)
    files = {"T.srt": b"1\n", "enhanced/0000000.mkv": b"clip" * 10, "T.mkv": b"tape" * 10, "provenance.json": b"{}"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    checksums.write_checksums(folder, {name: fingerprint.sha256(folder / name) for name in files})
    return folder.relative_to(tmp_path)


def test_a_file_with_its_recorded_content_is_as_recorded(tape):
    assert is_as_recorded(tape / "T.srt")
    assert is_as_recorded(tape / "T.mkv")
    (tape / "T.srt").write_text("2\n")
    assert not is_as_recorded(tape / "T.srt")


def test_files_that_nothing_records_are_not(tape, tmp_path):
    (tape / "new.txt").touch()
    assert not is_as_recorded(tape / "new.txt")
    assert not is_as_recorded(tape / "gone.txt")
    assert not is_as_recorded(tmp_path / "captures" / "T.mkv")
    # Pages of the report are made of it, and nothing else.
    assert not is_as_recorded(tape / "provenance.json")
    (tape / checksums.MANIFEST).write_text("damaged")
    assert not is_as_recorded(tape / "T.srt")
    (tape / checksums.MANIFEST).unlink()
    assert not is_as_recorded(tape / "T.srt")


def test_while_jobs_may_have_changed_the_tape_none_is(tape):
    checksums.mark_changed("T")
    assert not is_as_recorded(tape / "T.srt")
    checksums.unmark_changed("T")
    checksums.unmark_changed("T")
    assert is_as_recorded(tape / "T.srt")


def test_large_files_are_not_read(tape, monkeypatch):
    """A clip counts by the hash in its record, the tape by its size in the provenance."""
    monkeypatch.setattr(as_recorded, "MAX_HASHED_BYTES", 20)
    clip, sha256 = tape / "enhanced/0000000.mkv", fingerprint.sha256(tape / "enhanced/0000000.mkv")
    monkeypatch.setattr("tapemill.storage.fingerprint.sha256", lambda path: pytest.fail(f"{path} is read"))
    recorded = {clip: sha256}
    monkeypatch.setattr(as_recorded, "recorded_sha256", recorded.get)
    assert is_as_recorded(clip)
    assert not is_as_recorded(tape / "T.mkv")
    as_recorded._has_content.cache_clear()
    recorded[clip] = "f" * 64
    assert not is_as_recorded(clip)

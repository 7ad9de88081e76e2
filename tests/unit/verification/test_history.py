"""Notes of verifications, and what makes them worthless."""

import os

import pytest

from tapemill.verification import history


@pytest.fixture
def tape(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "results/T01/T01.mkv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a tape")
    return path


def test_a_tape_that_was_never_verified_has_no_note(tape):
    assert history.read_note(tape) is None


def test_a_note_holds_until_the_file_changes(tape):
    history.write_note(tape, faults=2)
    note = history.read_note(tape)
    assert (note.faults, note.size_bytes) == (2, 6)
    assert note.at.endswith("+00:00")
    assert history.is_unchanged(tape, note)
    os.utime(tape, (1000, 1000))
    assert not history.is_unchanged(tape, note)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": "2026-01-01"}'])
def test_a_damaged_note_is_none(tape, content):
    history.write_note(tape, faults=0)
    (history.NOTES / "T01.json").write_text(content)
    assert history.read_note(tape) is None

import os
import sys
from pathlib import Path

import pytest

from tapemill.config.tape_sheet import TapeRow
from tapemill.storage.fingerprint import fingerprint
from tapemill.workflow.tape import TapeState, as_inputs

opened = []


@pytest.fixture(scope="module", autouse=True)
def _note_what_is_opened():
    """An audit hook cannot be taken off again, so there is one for all."""
    sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)


def lookup(source):
    return TapeState(TapeRow("T", source, "T", "", "en", "auto", "auto"))


def reads(path):
    """How often the file was opened since it was asked last."""
    found = opened.count(str(path))
    opened.clear()
    return found


def test_braces_are_no_wildcards():
    assert as_inputs([Path("a.mkv"), Path("b{x}.mkv"), Path("c}{.mkv")]) == ["a.mkv", "c}{.mkv"]


def test_a_capture_is_read_once_for_all_its_scenes(tmp_path):
    capture = tmp_path / "a.mkv"
    capture.write_bytes(b"one")
    tape = lookup(capture)
    reads(capture)
    assert {tape.fingerprint(capture) for _ in range(100)} == {fingerprint(capture)}
    assert reads(capture) == 2  # the other time for the comparison


def test_each_file_of_a_folder_is_read_once_for_its_scene_and_for_the_tape(tmp_path):
    for name in ("1.mkv", "2.mkv"):
        (tmp_path / name).write_bytes(name.encode())
    tape = lookup(tmp_path)
    expected = [fingerprint(tmp_path), fingerprint(tmp_path / "1.mkv")]
    reads(tmp_path)
    for _ in range(10):
        assert [tape.fingerprint(tmp_path), tape.fingerprint(tmp_path / "1.mkv")] == expected
    assert reads(tmp_path / "1.mkv") == 1
    (tmp_path / "3.mkv").write_bytes(b"3")
    assert tape.fingerprint(tmp_path) == fingerprint(tmp_path) != expected[0]


def test_another_capture_is_noticed_though_its_size_and_file_time_are_the_same(tmp_path):
    capture, other = tmp_path / "a.mkv", tmp_path / "b.mkv"
    capture.write_bytes(b"one")
    other.write_bytes(b"two")
    tape = lookup(capture)
    before, times = tape.fingerprint(capture), capture.stat()
    other.replace(capture)
    os.utime(capture, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert tape.fingerprint(capture) == fingerprint(capture) != before

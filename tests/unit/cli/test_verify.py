"""Command `tapemill verify`: exit codes, lines, notes and progress."""

import shutil
import sys

import pytest

from tapemill.cli import verify
from tapemill.cli.main import main
from tapemill.core.result_paths import CAPTURE_CHECKSUM
from tapemill.records.capture import CaptureHashes, HashedFile
from tapemill.storage.checksums import MANIFEST, write_checksums
from tapemill.storage.fingerprint import fingerprint, sha256
from tapemill.verification import history
from tests.support.records import write_record


def make_tape(name):
    folder = verify.RESULTS / name
    folder.mkdir(parents=True)
    files = [folder / f"{name}{suffix}" for suffix in (".mkv", ".srt", ".vtt")]
    for path in files:
        path.write_text(path.name)
    write_checksums(folder, {path.name: sha256(path) for path in files})
    return folder


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("sheet: config/tapes.tsv\n")
    (tmp_path / "config" / "tapes.tsv").write_text("tape\tsource\nT01\ta.dv\n")
    (tmp_path / "a.dv").write_text("a capture")
    return tmp_path


@pytest.fixture
def tape(working_folder):
    return make_tape("T01")


def run(capsys, *arguments):
    """Exit code and lines of the command."""
    code = main(["verify", *arguments])
    return code, capsys.readouterr().out.splitlines()


def test_an_intact_tape_has_a_line_for_each_file_and_a_note(tape, capsys):
    code, lines = run(capsys)
    assert code == verify.INTACT
    assert lines == [
        *(f"intact     {tape / name}" for name in ("T01.mkv", "T01.srt", "T01.vtt")),
        "T01: 3 intact",
        "1 tape is as recorded.",
    ]
    note = history.read_note(tape / "T01.mkv")
    assert note.faults == 0


def test_all_finished_tapes_are_verified_and_other_folders_are_not(tape, capsys):
    make_tape("T02")
    (verify.RESULTS / "T03" / "scenes").mkdir(parents=True)
    code, lines = run(capsys, "--quiet")
    assert code == verify.INTACT
    assert lines == ["T01: 3 intact", "T02: 3 intact", "2 tapes are as recorded."]


def test_a_tape_whose_files_are_gone_was_finished_once(tape, capsys):
    for path in tape.glob("T01.*"):
        path.unlink()
    code, lines = run(capsys)
    assert code == verify.FAULTY
    assert lines[-2:] == ["T01: 3 missing", "1 of 1 tapes are not as they were made."]
    assert not history.NOTES.exists()


def test_a_changed_file_is_named_also_if_quiet(tape, capsys):
    (tape / "T01.mkv").write_text("other")
    code, lines = run(capsys, "T01", "--quiet")
    assert code == verify.FAULTY
    assert lines[0].startswith(f"changed    {tape / 'T01.mkv'}: its SHA-256 is ")
    assert lines[1:] == ["T01: 1 changed, 2 intact", "1 of 1 tapes are not as they were made."]
    assert history.read_note(tape / "T01.mkv").faults == 1


def test_a_tape_of_which_nothing_is_recorded_has_an_exit_code_of_its_own_unless_another_is_faulty(tape, capsys):
    (tape / MANIFEST).unlink()
    code, lines = run(capsys)
    assert code == verify.UNKNOWN
    assert lines[-1] == "Nothing is recorded of 1 of 1 tapes."
    (make_tape("T02") / "T02.mkv").unlink()
    code, lines = run(capsys)
    assert code == verify.FAULTY
    assert lines[-1] == "Nothing is recorded of 1 of 2 tapes."


@pytest.mark.parametrize("named", ["T01", "results/T01", "results/T01/T01.mkv"])
def test_a_tape_is_named_by_its_id_its_folder_or_its_file(tape, capsys, named):
    # A folder of the working folder may have the name of a tape.
    (tape.parent.parent / "T01").mkdir()
    assert run(capsys, named)[1][-1] == "1 tape is as recorded."


def test_a_tape_elsewhere_is_named_by_its_folder(tape, capsys):
    shutil.move(tape, "elsewhere/T01")
    assert run(capsys, "elsewhere/T01")[0] == verify.INTACT


def test_an_unknown_tape_and_a_folder_without_tapes_are_errors(working_folder, capsys):
    assert main(["verify", "T09"]) == 78
    assert "there is no tape 'T09'" in capsys.readouterr().err
    assert main(["verify"]) == 78
    assert "there is no finished tape here" in capsys.readouterr().err


def test_the_capture_of_the_sheet_is_read_on_request(tape, working_folder, capsys):
    path = working_folder / "a.dv"
    hashed = HashedFile(path.name, path.stat().st_size, fingerprint(path), sha256(path))
    for folder in (tape, make_tape("T02")):
        write_record(folder / CAPTURE_CHECKSUM, CaptureHashes((hashed,)))
    assert "intact     a.dv" in run(capsys, "T01", "--captures")[1]
    # The sheet has no such tape, so its capture is not known.
    assert "unrecorded results/T02: the capture has 0 files, recorded are 1" in run(capsys, "T02", "--captures")[1]


class Terminal:
    """A terminal that keeps what is written to it."""

    def __init__(self, is_terminal=True):
        self.isatty = lambda: is_terminal
        self.written = ""

    def write(self, text):
        self.written += text

    def flush(self):
        pass


def test_the_progress_of_a_long_read_is_one_line_that_is_removed_at_its_end(tape, monkeypatch):
    progress, terminal = verify._Progress(), Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    size = 4 * verify.PROGRESS_STEP_BYTES
    path = tape / "T01.mkv"
    progress.show(path, verify.PROGRESS_STEP_BYTES - 1, size)
    assert terminal.written == ""
    for done in range(verify.PROGRESS_STEP_BYTES, size + 1, verify.PROGRESS_STEP_BYTES):
        progress.show(path, done, size)
    lines = terminal.written.split("\r\x1b[K")
    assert lines == ["", *(f" {share} % of 268.4 MB: {path}" for share in (25, 50, 75)), ""]
    progress.show(path, 10, 10)
    assert terminal.written.endswith(lines[-2] + "\r\x1b[K")


def test_progress_is_shown_on_a_terminal_only(tape, monkeypatch):
    terminal = Terminal(is_terminal=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    verify._Progress().show(tape / "T01.mkv", verify.PROGRESS_STEP_BYTES, 2 * verify.PROGRESS_STEP_BYTES)
    assert terminal.written == ""

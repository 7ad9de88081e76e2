"""What a settled tape is recognised by."""

import os
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from tapemill.config.tape_sheet import TapeRow
from tapemill.process import results_lease
from tapemill.workflow import up_to_date
from tapemill.workflow.tape import DEMO_CAPTURE, TapeState

SETTINGS = {"row": {"source": Path("a.mkv")}, "config": {"crf": 18}}


@pytest.fixture
def tape(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.mkv").write_bytes(b"capture")
    for name in ("T.mkv", "subtitles/0000000.srt", "subtitles/0000050.srt", "enhanced/0000000.mkv"):
        path = Path("results/T") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return TapeState(TapeRow("T", Path("a.mkv"), "T", "", "en", "auto", "auto"))


def edit_in_place(path, text):
    """Like an editor that does not rename: the folder's time stays."""
    was = path.parent.stat()
    path.write_text(text)
    os.utime(path.parent, ns=(was.st_atime_ns, was.st_mtime_ns))


CHANGES = {
    "edited": lambda: edit_in_place(Path("results/T/subtitles/0000050.srt"), "corrected"),
    "same length": lambda: edit_in_place(Path("results/T/subtitles/0000050.srt"), "subtitles/0000060.srt"),
    "deleted": lambda: Path("results/T/enhanced/0000000.mkv").unlink(),
    "added": lambda: Path("results/T/subtitles/0000051.srt").touch(),
    "renamed": lambda: Path("results/T/T.mkv").rename("results/T/U.mkv"),
    "touched": lambda: os.utime("results/T/T.mkv"),
    "set back": lambda: os.utime("results/T/T.mkv", (0, 0)),
    "capture touched": lambda: os.utime("a.mkv"),
    "capture longer": lambda: Path("a.mkv").write_bytes(b"capture, again"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_file_is_another_state(tape, change):
    before = up_to_date.digest_of(tape, SETTINGS)
    change()
    after = up_to_date.digest_of(tape, SETTINGS)
    assert after.files != before.files
    assert after.settings == before.settings


def test_another_setting_is_another_state(tape):
    before = up_to_date.digest_of(tape, SETTINGS)
    after = up_to_date.digest_of(tape, SETTINGS | {"config": {"crf": 19}})
    assert after.settings != before.settings
    assert after.files == before.files


def test_the_state_outlives_the_moving_of_the_folder(tape, tmp_path, monkeypatch):
    before = up_to_date.digest_of(tape, SETTINGS)
    up_to_date.write_digest("T", before)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    monkeypatch.chdir(moved)
    assert up_to_date.read_digest("T") == up_to_date.digest_of(tape, SETTINGS) == before


def test_links_are_followed_and_one_that_leads_nowhere_is_no_obstacle(tape, tmp_path):
    elsewhere = tmp_path / "other disk"
    Path("results/T/enhanced").rename(elsewhere)
    Path("results/T/enhanced").symlink_to(elsewhere)
    Path("results/T/lost").symlink_to("nowhere")
    before = up_to_date.digest_of(tape, SETTINGS)
    (elsewhere / "0000000.mkv").write_text("another")
    assert up_to_date.digest_of(tape, SETTINGS) != before


def test_a_tape_without_its_capture_and_the_demo_are_never_settled(tape):
    Path("a.mkv").unlink()
    assert up_to_date.digest_of(tape, SETTINGS) is None
    demo = TapeState(TapeRow("demo", Path(DEMO_CAPTURE), "demo", "", "en", "auto", "auto"))
    Path(DEMO_CAPTURE).parent.mkdir(parents=True)
    Path(DEMO_CAPTURE).touch()
    assert up_to_date.digest_of(demo, SETTINGS) is None


def test_a_tape_whose_folder_is_not_there_yet_has_a_state_too(tape):
    before = up_to_date.digest_of(tape, SETTINGS)
    Path("results/T").rename("elsewhere")
    assert up_to_date.digest_of(tape, SETTINGS).files != before.files


def test_a_lease_is_no_part_of_the_state(tape):
    before = up_to_date.digest_of(tape, SETTINGS)
    (Path("results/T") / results_lease.LEASE).write_text("{}")
    assert up_to_date.digest_of(tape, SETTINGS) == before


def test_a_record_that_is_damaged_is_none(tape):
    up_to_date.write_digest("T", up_to_date.digest_of(tape, SETTINGS))
    record = up_to_date.DIGESTS / "T.json"
    for text in ("", "{", "[]", "{}", '{"files": "x", "settings": "y", "more": 1}'):
        record.write_text(text)
        assert up_to_date.read_digest("T") is None
    up_to_date.invalidate(["T", "none"])
    assert not record.exists()


def test_jobs_that_began_and_did_not_end_are_known(tmp_path):
    names = {"results/T/sound.mka", f"results/{'long' * 70}/enhanced/0000000.mkv"}
    for name in names:
        key = urlsafe_b64encode(name.encode()).decode()
        parts = [key[start : start + 254] for start in range(0, len(key), 254)]
        path = tmp_path.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "other").touch()
    assert up_to_date.interrupted(tmp_path) == names
    assert up_to_date.interrupted(tmp_path / "none") == set()


def test_the_program_is_its_contents(tmp_path, monkeypatch):
    for name in ("Snakefile", "rules/a.smk", "scripts/tapemill/a.py", "config/schemas/a.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    monkeypatch.setattr(up_to_date, "ROOT", tmp_path)
    before = up_to_date.code_digest()
    for path in tmp_path.rglob("*.*"):
        os.utime(path)
    assert up_to_date.code_digest() == before
    (tmp_path / "scripts/tapemill/a.py").write_text("new")
    assert up_to_date.code_digest() != before

import os

import pytest

from tapemill.storage.checksums import MANIFEST, write_checksums
from tapemill.storage.fingerprint import sha256
from tapemill.verification.cleanup import clean, clean_tape

KEPT = (
    *("T01.mkv", "T01.srt", "T01.vtt", "capture.json", "scenes.tsv", "scenes.edl", "sound.json", "encoder.json"),
    *("enhanced/0000000.json", "subtitles/0000000.srt", "subtitles/0000000.json", "translated/0000000.srt"),
    *(MANIFEST, "provenance.json", "ro-crate-metadata.json", "enhanced/my copy.mkv", "notes/0000000.mkv"),
)
REMOVED = ("enhanced/0000000.mkv", "enhanced/0000100.mkv", "scenes/0000000.mkv", "audio/0000000.wav", "sound.mka")


@pytest.fixture
def tape(tmp_path):
    """A finished tape: everything is older than it."""
    folder = tmp_path / "results/T01"
    for name in {*KEPT, *REMOVED} - {MANIFEST}:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
        os.utime(path, (1000, 1000))
    os.utime(folder / "T01.mkv", (2000, 2000))
    write_checksums(folder, {name: sha256(folder / name) for name in ("T01.mkv", "T01.srt", "T01.vtt")})
    return folder


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_only_what_is_large_and_can_be_made_again_is_removed(tape):
    done = clean_tape(tape, "mkv")
    assert files(tape) == set(KEPT)
    assert (done.files, done.freed_bytes) == (len(REMOVED), 1000 * len(REMOVED))
    assert clean_tape(tape, "mkv").files == 0


@pytest.mark.parametrize("missing", ["T01.mkv", "T01.srt", "T01.vtt"])
def test_a_tape_that_is_not_finished_is_left_alone(tape, missing):
    (tape / missing).unlink()
    assert "not finished" in clean_tape(tape, "mkv").reason
    assert files(tape) == {*KEPT, *REMOVED} - {missing}


@pytest.mark.parametrize("newer", ["subtitles/0000000.srt", "enhanced/0000100.mkv", "sound.mka"])
def test_a_tape_that_will_be_made_again_is_left_alone(tape, newer):
    os.utime(tape / newer, (3000, 3000))
    assert "newer" in clean_tape(tape, "mkv").reason
    assert files(tape) == {*KEPT, *REMOVED}


@pytest.mark.parametrize("content", [b"", b"x" * 999 + b"y"])
@pytest.mark.parametrize("name", ["T01.mkv", "T01.srt", "T01.vtt"])
def test_nothing_of_a_tape_that_does_not_verify_is_removed(tape, name, content):
    time_ns = (tape / name).stat().st_mtime_ns
    (tape / name).write_bytes(content)
    os.utime(tape / name, ns=(time_ns, time_ns))
    assert f"{name} is changed" in clean_tape(tape, "mkv").reason
    assert files(tape) == {*KEPT, *REMOVED}


@pytest.mark.parametrize(
    "damage", [lambda text: text[:40], lambda text: text.upper(), lambda text: text.replace("  ", " ")]
)
def test_a_damaged_record_is_no_proof(tape, damage):
    (tape / MANIFEST).write_text(damage((tape / MANIFEST).read_text()))
    assert "record is damaged" in clean_tape(tape, "mkv").reason


def test_a_tape_without_a_record_is_left_alone(tape):
    (tape / MANIFEST).unlink()
    (tape / "provenance.json").unlink()
    assert "nothing records its content" in clean_tape(tape, "mkv").reason


def test_what_links_lead_to_is_somebodys_own(tape, tmp_path):
    elsewhere = tmp_path / "mine.mkv"
    (tape / "enhanced/0000100.mkv").rename(elsewhere)
    (tape / "enhanced/0000100.mkv").symlink_to(elsewhere)
    clean_tape(tape, "mkv")
    assert elsewhere.exists()
    assert (tape / "enhanced/0000100.mkv").is_symlink()


def test_it_says_what_it_did_for_each_tape(tape, capsys):
    clean(tapes=["T01", "T02"], container="mkv", results=tape.parent)
    assert capsys.readouterr().out.splitlines() == [
        "T01: 5 files removed, 0.0 MB",
        "T02: not touched, it is not finished",
        "0.0 MB are free again",
    ]

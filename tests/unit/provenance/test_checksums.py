"""Checksums of a finished tape: every file that makes it or documents it, and no hash of what happened since."""

from tapemill.provenance.checksums import write_tape_checksums
from tapemill.records.audio import AudioRecord
from tapemill.storage.checksums import MANIFEST, read_checksums
from tapemill.storage.fingerprint import sha256
from tests.support.records import clip_record, write_record

DOCUMENTED = (
    *("T01.mkv", "T01.srt", "T01.vtt", "capture.json", "capture_sha256.json", "scenes.tsv", "provenance.json"),
    *("enhanced/0000000.mkv", "enhanced/0000050.mkv", "audio/0000000.wav", "subtitles/0000000.srt", "sound.mka"),
)
OTHERS = ("T02.mkv", "report/making.html", "enhanced/my copy.mkv", ".tapemill.lease")


def test_all_files_that_make_or_document_the_tape_are_covered_and_no_others(tmp_path):
    folder = tmp_path / "T01"
    for name in (*DOCUMENTED, *OTHERS):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "scenes.csv").mkdir()
    assert write_tape_checksums(folder, {}) == len(DOCUMENTED)
    assert read_checksums(folder) == {name: sha256(folder / name) for name in DOCUMENTED}
    # The manifest does not cover itself.
    assert write_tape_checksums(folder, {}) == len(DOCUMENTED)
    assert MANIFEST not in read_checksums(folder)


def test_a_hash_is_the_one_that_was_taken_when_the_file_was_written(tmp_path):
    folder = tmp_path / "T01"
    (folder / "enhanced").mkdir(parents=True)
    tape, clip, old, audio = (
        folder / name for name in ("T01.mkv", "enhanced/0000000.mkv", "enhanced/0000050.mkv", "sound.mka")
    )
    for path in (tape, clip, old, audio):
        path.write_text("changed since")
    write_record(clip.with_suffix(".json"), clip_record(sha256="1" * 64))
    # Of an older version.
    write_record(old.with_suffix(".json"), clip_record())
    write_record(audio.with_suffix(".json"), AudioRecord(codec="flac", tracks=(), sha256="2" * 64))
    write_tape_checksums(folder, {tape: "3" * 64})
    hashes = read_checksums(folder)
    assert hashes["T01.mkv"] == "3" * 64
    assert hashes["enhanced/0000000.mkv"] == "1" * 64
    assert hashes["enhanced/0000050.mkv"] == sha256(old)
    assert hashes["sound.mka"] == "2" * 64

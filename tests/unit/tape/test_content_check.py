"""Clips and audio that changed since they were made: set aside and named, never put into the tape."""

import pytest

from tapemill.core.errors import GateError
from tapemill.records.audio import AudioRecord
from tapemill.storage.fingerprint import sha256
from tapemill.tape.content_check import check_content
from tests.support.records import clip_record, write_record


@pytest.fixture
def clips(tmp_path):
    paths = [tmp_path / "enhanced" / f"{number:07d}.mkv" for number in range(7)]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(path.name)
        write_record(path.with_suffix(".json"), clip_record(sha256=sha256(path)))
    return paths


@pytest.fixture
def audio(tmp_path):
    path = tmp_path / "sound.mka"
    path.write_text("audio")
    write_record(path.with_suffix(".json"), AudioRecord(codec="flac", tracks=(), sha256=sha256(path)))
    return path


def test_what_is_as_it_was_made_passes(clips, audio):
    check_content(clips, audio)
    check_content(clips, None)
    assert all(path.exists() for path in (*clips, audio))


def test_what_changed_is_set_aside_and_named(clips, audio, caplog):
    clips[1].write_text("other")
    audio.write_text("other")
    with pytest.raises(GateError, match="2 files have changed since they were made") as caught:
        check_content(clips, audio)
    assert "0000001.mkv, sound.mka" in str(caught.value)
    assert caught.value.file == clips[1].with_name("0000001.damaged.mkv")
    assert caught.value.file.read_text() == "other"
    assert audio.with_name("sound.damaged.mka").read_text() == "other"
    assert not clips[1].exists() and not audio.exists()
    assert "it is kept as sound.damaged.mka" in caplog.text
    assert clips[0].exists()


def test_of_many_only_some_are_named(clips):
    for clip in clips:
        clip.write_text("other")
    with pytest.raises(GateError, match=r"7 files have changed since they were made.*0000004\.mkv and 2 more"):
        check_content(clips, None)


@pytest.mark.parametrize("record", ["of an older version", "none", "damaged"])
def test_what_has_no_hash_is_taken_as_it_is(clips, audio, record):
    for path, older in ((clips[0], clip_record()), (audio, AudioRecord(codec="flac", tracks=()))):
        path.write_text("put there by somebody")
        written = path.with_suffix(".json")
        if record == "of an older version":
            write_record(written, older)
        elif record == "damaged":
            written.write_text("{")
        else:
            written.unlink()
    check_content(clips, audio)
    assert clips[0].exists() and audio.exists()

"""Subtitles with what the recogniser thought of them."""

import math
from fractions import Fraction

import pytest

from tapemill.core.timing import FrameRange
from tapemill.records.speech import Segment, Word
from tapemill.records.subtitles import RemovedSegment, SubtitleRecord
from tapemill.report.subtitle_confidence import DOUBTFUL, confidence, review_subtitles
from tests.support.records import heard, write_record

RATE = Fraction(25)
SCENES = {"0000000": FrameRange(0, 100), "0000100": FrameRange(100, 200)}


def segment(start_ms, stop_ms, text, avg_logprob=-0.1, words=()):
    values = {"no_speech_prob": 0.0, "compression_ratio": 1.0, "temperature": 0.0}
    return Segment(start_ms, stop_ms, text, avg_logprob, words=words, **values)


def write(folder, scene, segments, **more):
    record = SubtitleRecord(heard=heard(segments=tuple(segments)), **{"removed": (), **more})
    write_record(folder / "subtitles" / f"{scene}.json", record)


def read(folder, *cues):
    srt = folder / "T.srt"
    srt.write_text("".join(f"{n}\n{times}\n{text}\n\n" for n, (times, text) in enumerate(cues, 1)))
    return review_subtitles(srt=srt, records=folder / "subtitles", scenes=SCENES, rate=RATE)


def test_a_cue_has_the_confidence_of_what_it_was_made_of(tmp_path):
    write(
        tmp_path, "0000000", [segment(0, 1000, "Sure.", math.log(0.9)), segment(1000, 3000, "Not so.", math.log(0.3))]
    )
    write(tmp_path, "0000100", [segment(500, 1500, "Later.", math.log(0.8))])
    found = read(
        tmp_path,
        ("00:00:00,000 --> 00:00:01,000", "Sure."),
        ("00:00:01,000 --> 00:00:03,000", "Not so."),
        ("00:00:03,500 --> 00:00:03,900", "Nobody's."),
        ("00:00:04,500 --> 00:00:05,500", "Later."),
    )
    assert [cue.confidence and round(cue.confidence, 3) for cue in found.cues] == [0.9, 0.3, None, 0.8]
    assert [cue.scene for cue in found.cues] == ["0000000", "0000000", "0000000", "0000100"]
    assert [cue.is_doubtful for cue in found.cues] == [False, True, False, False]
    assert found.doubtful == 1


def test_a_cue_of_two_segments_lies_between_them(tmp_path):
    write(tmp_path, "0000000", [segment(0, 1000, "a", math.log(0.9)), segment(1000, 2000, "b", math.log(0.5))])
    (cue,) = read(tmp_path, ("00:00:00,000 --> 00:00:02,000", "a b")).cues
    assert cue.confidence == pytest.approx(0.7)


def test_words_that_were_timed_count_by_themselves():
    timed = segment(0, 1000, "a b", -9.0, words=(Word(0, 500, "a", 0.6), Word(500, 1000, "b", 0.8)))
    assert confidence(timed) == pytest.approx(0.7)
    assert confidence(segment(0, 1000, "a", 0.4)) == 1
    assert math.exp(-1) < DOUBTFUL


def test_what_was_left_out_and_why(tmp_path):
    removed = RemovedSegment(500, 900, "Thanks for watching!", "closing credits")
    write(tmp_path, "0000100", [], removed=(removed,))
    (found,) = read(tmp_path).dropped
    assert (found.start_s, found.scene, found.text, found.reason) == (
        4.5,
        "0000100",
        removed.text,
        "closing credits",
    )


def test_what_somebody_wrote_has_no_confidence(tmp_path):
    write(tmp_path, "0000000", [segment(0, 1000, "Wrong.")], note="the SRT was corrected by hand and kept")
    found = read(tmp_path, ("00:00:00,000 --> 00:00:01,000", "Right."))
    assert found.by_hand == ("0000000",)
    assert [cue.confidence for cue in found.cues] == [None]


def test_records_that_are_gone_or_damaged_leave_the_cues(tmp_path):
    write(tmp_path, "0000000", [])
    (tmp_path / "subtitles" / "0000000.json").write_text("{half")
    (cue,) = read(tmp_path, ("00:00:00,000 --> 00:00:01,000", "Said.")).cues
    assert (cue.text, cue.confidence) == ("Said.", None)

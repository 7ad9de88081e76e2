from dataclasses import replace

import pytest

from tapemill.records.speech import Segment, SpeechRegion, Word
from tapemill.subtitles.hallucination_filter import filter_segments
from tests.support.media.speech import SETTINGS

EVERYWHERE = [SpeechRegion(0, 30_000)]


def segment(text, start_ms=1000, stop_ms=3000, **values):
    given = {"avg_logprob": -0.2, "no_speech_prob": 0.1, "compression_ratio": 1.2, "temperature": 0.0, **values}
    return Segment(start_ms=start_ms, stop_ms=stop_ms, text=text, **given)


def reasons(segments, regions=EVERYWHERE, settings=SETTINGS):
    return [reason for _, reason in filter_segments(segments, regions, settings)]


@pytest.mark.parametrize(
    ("doubtful", "expected"),
    [
        (segment("Hello Anna.", no_speech_prob=0.9, avg_logprob=-1.5), "no speech"),
        (segment("a a a", compression_ratio=2.5), "repetitive"),
        (segment("..."), "no words"),
        (segment("♪ ♪"), "no words"),
        (segment(""), "no words"),
        (segment("I said I said I said I said I said it."), "same 2 words"),
        (segment("はははははは"), "same 1 words"),
        (segment("Thank you for watching!"), "credits"),
        (segment("Untertitel der Amara.org-Community"), "credits"),
    ],
)
def test_what_nobody_said_is_left_out_with_its_reason(doubtful, expected):
    assert expected in reasons([doubtful])[0]


@pytest.mark.parametrize(
    "said",
    [
        segment("Hello Anna.", no_speech_prob=0.9, avg_logprob=-0.3),
        segment("Hello Anna.", no_speech_prob=0.1, avg_logprob=-1.5),
        segment("Happy birthday to you, happy birthday to you, happy birthday dear Anna, happy birthday to you."),
        segment("Hip hip hurray! Hip hip hurray! Hip hip hurray!"),
        segment("Go go go go!"),
        segment("Thank you."),
        segment("We are watching the subtitles."),
        segment("1984"),
        segment("今日は湖で泳いでいます。"),
    ],
)
def test_what_somebody_said_stays(said):
    assert reasons([said]) == [None]


def test_of_a_sentence_said_too_often_in_a_row_the_first_stays():
    row = [segment("Thank you.", 1000 * n, 1000 * n + 900) for n in range(5)]
    assert reasons([segment("Hello."), *row, segment("Bye.")]) == [None, None, *["repeated 5 times in a row"] * 4, None]
    assert reasons(row[:4]) == [None] * 4


def test_text_outside_detected_speech_is_left_out():
    assert reasons([segment("Hello.", 1000, 2000)], [SpeechRegion(2000, 3000)]) == ["outside detected speech"]
    assert reasons([segment("Hello.", 1000, 2001)], [SpeechRegion(2000, 3000)]) == [None]


def test_times_are_kept_to_the_speech_they_touch():
    words = (Word(0, 500, " Hello", 0.9), Word(500, 4000, " Anna", 0.9))
    [(kept, reason)] = filter_segments(
        [replace(segment("Hello Anna", 0, 4000), words=words)],
        [SpeechRegion(800, 1500), SpeechRegion(1800, 2600)],
        SETTINGS,
    )
    assert reason is None
    assert (kept.start_ms, kept.stop_ms) == (800, 2600)
    assert [(word.start_ms, word.stop_ms) for word in kept.words] == [(800, 800), (800, 2600)]


def test_thresholds_are_settings():
    song = segment("la la la", compression_ratio=3.0)
    assert reasons([song], settings=replace(SETTINGS, compression_ratio_threshold=4)) == [None]
    assert reasons([segment("so so so")], settings=replace(SETTINGS, repeat_limit=2)) != [None]

import ctypes
from itertools import pairwise

import numpy as np
import pytest

from demo import SCENES
from demo.tape import sentences, speech
from demo.training.espeak import SAMPLE_RATE_HZ, Synthesiser
from tapemill.core.errors import InputError, SetupError
from tests.support.project import ROOT

DEMO = ROOT / "resources" / "demo"


@pytest.fixture
def synthesiser():
    try:
        ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        pytest.skip("espeak-ng is not installed; only recording new speech needs it")
    return Synthesiser()


def test_the_recording_holds_what_the_model_was_not_trained_on():
    spoken = speech.read_table(DEMO / "speech.tsv")
    assert all(sentences.held_out(sentence.text) for sentence in spoken)
    assert all(sentence.voice.split("+")[1] in sentences.TEST_VARIANTS for sentence in spoken)
    assert all(sentence.speed_wpm in sentences.TEST_SPEEDS_WPM for sentence in spoken)
    assert len({sentence.text for sentence in spoken}) == len(spoken)


def test_every_line_of_the_plan_is_spoken_where_it_belongs():
    spoken = speech.read_table(DEMO / "speech.tsv")
    lines = [(scene.span.start_frame + line.frame, line.max_duration_s) for scene in SCENES for line in scene.lines]
    assert [sentence.frame for sentence in spoken] == [frame for frame, _ in lines]
    for sentence, (_, max_duration_s) in zip(spoken, lines, strict=True):
        assert sentence.stop_s - sentence.start_s <= max_duration_s


def test_the_recording_is_loud_where_the_table_says_and_silent_between():
    samples = speech.read_recording(DEMO / "speech.flac")
    spoken = speech.read_table(DEMO / "speech.tsv")
    assert len(samples) >= spoken[-1].stop_s * SAMPLE_RATE_HZ
    for one, other in pairwise(spoken):
        inside = samples[round(one.start_s * SAMPLE_RATE_HZ) : round(one.stop_s * SAMPLE_RATE_HZ)]
        assert 0.9 < np.abs(inside).max() <= 1
        between = samples[round(one.stop_s * SAMPLE_RATE_HZ) + 1 : round(other.start_s * SAMPLE_RATE_HZ) - 1]
        assert len(between) > 0.2 * SAMPLE_RATE_HZ
        assert not between.any()


def test_a_table_survives_being_written_and_read(tmp_path):
    spoken = (speech.SpokenSentence("Good night Anna.", 0.5, 1.25, 40, "en-us+m3", 155),)
    speech.write_table(tmp_path / "t.tsv", spoken)
    assert speech.read_table(tmp_path / "t.tsv") == spoken
    assert spoken[0].tape_start_s == pytest.approx(40 / 25)
    assert spoken[0].tape_stop_s == pytest.approx(2.35)


def test_a_table_that_is_none_is_an_input_error(tmp_path):
    (tmp_path / "t.tsv").write_text("text\tframe\nhello\tsoon\n")
    with pytest.raises(InputError, match="cannot be read"):
        speech.read_table(tmp_path / "t.tsv")


def test_a_missing_library_says_what_to_install(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(SetupError, match="libespeak-ng1 and espeak-ng-data"):
        Synthesiser()


def test_words_are_timed_in_order_within_their_utterance(synthesiser):
    utterance = synthesiser.speak("We are at the lake.", voice="en-us+m3", speed_wpm=155, pitch=50, pitch_range=50)
    assert [word.text for word in utterance.words] == ["We", "are", "at", "the", "lake"]
    times = [utterance.words[0].start_s, *(word.stop_s for word in utterance.words)]
    assert times == sorted(times)
    assert times[0] == 0
    assert times[-1] == pytest.approx(utterance.duration_s)
    assert np.abs(utterance.audio).max() == 32000


def test_an_unknown_voice_is_an_error(synthesiser):
    with pytest.raises(SetupError, match="no voice"):
        synthesiser.speak("Hello.", voice="xx-nobody", speed_wpm=155, pitch=50, pitch_range=50)

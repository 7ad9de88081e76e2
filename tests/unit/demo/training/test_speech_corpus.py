import numpy as np
import pytest

from demo.training import speech_corpus
from demo.training.espeak import SAMPLE_RATE_HZ, Utterance, Word
from demo.training.speech_corpus import Layout
from tapemill.core.errors import InputError


def utterance(text, seconds=0.8, pitch_hz=300):
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    audio = (20_000 * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.int16)
    names = text.rstrip(".").split()
    bounds = np.linspace(0, seconds, len(names) + 1)
    words = tuple(Word(name, float(bounds[i]), float(bounds[i + 1])) for i, name in enumerate(names))
    return Utterance(text, audio, words, "en-us+m3", 155)


@pytest.fixture
def utterances():
    return [utterance("Good night Anna."), utterance("Merry Christmas Mom.", 1.1, 500), utterance("Look at Dad.", 0.5)]


def test_a_corpus_survives_being_saved_and_loaded(tmp_path, utterances):
    speech_corpus.save(tmp_path / "speech.npz", utterances)
    loaded = speech_corpus.load(tmp_path / "speech.npz")
    for one, other in zip(utterances, loaded, strict=True):
        assert (one.text, one.words, one.voice, one.speed_wpm) == (
            other.text,
            other.words,
            other.voice,
            other.speed_wpm,
        )
        assert np.array_equal(one.audio, other.audio)
        assert other.audio.dtype == np.int16


def test_a_missing_corpus_says_how_to_get_one(tmp_path):
    with pytest.raises(InputError, match="make_speech_corpus"):
        speech_corpus.load(tmp_path / "speech.npz")


def test_clips_are_the_same_for_the_same_seed_and_differ_for_others(utterances):
    one, again, other = (
        speech_corpus.render(utterances, np.random.default_rng(seed), Layout(12))[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert len(one) != len(other) or not np.array_equal(one, other)


def test_degrading_is_the_same_for_the_same_seed_and_keeps_to_full_scale(utterances):
    samples = utterances[0].audio / 32768
    for seed in range(12):
        speech = np.ones(len(samples), bool)
        one, again = (speech_corpus.degrade(samples, speech, np.random.default_rng(seed)) for _ in (0, 1))
        assert np.array_equal(one, again)
        assert np.abs(one).max() <= 1
        assert len(one) == len(samples)


def test_clean_clips_hold_the_utterances_where_they_are_said_to_be(utterances):
    audio, placed = speech_corpus.render(utterances, np.random.default_rng(3), Layout(12, clean=True))
    assert [item.utterance.text for item in placed] == [item.text for item in utterances]
    silent = np.ones(len(audio), bool)
    for item in placed:
        first = int(item.start_s * SAMPLE_RATE_HZ)
        silent[first : first + len(item.utterance.audio)] = False
        assert np.abs(audio[first : first + 800]).max() > 0.2
    assert not audio[silent].any()


def test_utterances_that_do_not_fit_are_left_out_unless_they_may_be_cut(utterances):
    whole = speech_corpus.render(utterances * 3, np.random.default_rng(4), Layout(3, 0.1, 0.3, clean=True))[1]
    assert all(item.stop_s <= 3 for item in whole)
    audio, cut = speech_corpus.render(
        utterances * 3, np.random.default_rng(4), Layout(3, 0.1, 0.3, clean=True, cut=True)
    )
    assert cut[-1].stop_s > len(audio) / SAMPLE_RATE_HZ


def test_a_clip_without_speech_has_sound_but_no_utterances():
    audio, placed = speech_corpus.render([], np.random.default_rng(5), Layout(6))
    assert placed == []
    assert 1 <= len(audio) / SAMPLE_RATE_HZ <= 6

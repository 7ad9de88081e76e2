"""The reading that is taken where none is trusted, with the demo's real model on noise."""

from dataclasses import replace

import numpy as np
import pytest

from tapemill.devices.determinism import seeded
from tapemill.devices.device import CPU
from tapemill.models import ModelFile
from tapemill.models.lockfile import read_lock
from tapemill.subtitles.readings import chosen_readings
from tapemill.subtitles.whisper_loader import load_model
from tests.support.media.speech import LOCK, MODEL, RATE_HZ, SETTINGS, sentence

# None passes.
STRICT = replace(SETTINGS, temperatures=(0.0, 1.0), logprob_threshold=-1e-6, no_speech_threshold=1.0)


@pytest.fixture(scope="module")
def model():
    return load_model(ModelFile(MODEL, read_lock(LOCK)["demo-en"]["sha256"]), CPU, headroom_bytes=0)


def read(model, temperatures, settings=STRICT):
    noise = np.random.default_rng(3).normal(scale=0.05, size=RATE_HZ * 3).astype(np.float32)
    with seeded(CPU, 0):
        return model.transcribe(
            noise,
            language="en",
            temperature=temperatures,
            logprob_threshold=settings.logprob_threshold,
            no_speech_threshold=settings.no_speech_threshold,
            fp16=False,
        )["segments"]


def test_of_readings_that_all_fail_the_most_probable_is_taken(model):
    [first, *_], [last, *_] = read(model, (0.0,)), read(model, (0.0, 1.0))
    assert last["temperature"] == 1.0
    assert last["avg_logprob"] < first["avg_logprob"]
    with chosen_readings(model, STRICT, is_heard=True):
        [taken, *_] = read(model, (0.0, 1.0))
    assert taken["text"] == first["text"]
    assert (taken["temperature"], taken["avg_logprob"]) == (0.0, first["avg_logprob"])


def test_the_model_is_as_before_afterwards(model):
    with chosen_readings(model, STRICT, is_heard=True):
        assert "decode" in vars(model)
    assert "decode" not in vars(model)


def test_a_window_is_encoded_once(model):
    passes = []
    hook = model.encoder.register_forward_hook(lambda *_: passes.append(1))
    try:
        read(model, (0.0, 0.4, 1.0))
        assert passes.count(1) == 3
        passes.clear()
        with chosen_readings(model, STRICT, is_heard=True):
            read(model, (0.0, 0.4, 1.0))
        assert passes.count(1) == 1
    finally:
        hook.remove()


def test_a_reading_that_is_trusted_is_the_one_without():
    model_of = load_model(ModelFile(MODEL, read_lock(LOCK)["demo-en"]["sha256"]), CPU, headroom_bytes=0)
    speech = sentence(0).astype(np.float32) / np.float32(32768)
    expected = model_of.transcribe(speech, language="en", temperature=(0.0, 1.0), fp16=False)
    with chosen_readings(model_of, SETTINGS, is_heard=True):
        assert model_of.transcribe(speech, language="en", temperature=(0.0, 1.0), fp16=False) == expected


def test_a_window_in_which_neither_detector_nor_model_hears_speech_is_not_read(model):
    # The demo's model knows no silence: its probability of no speech is near zero.
    settings = replace(SETTINGS, no_speech_threshold=0.0, logprob_threshold=-5.0)
    with chosen_readings(model, settings, is_heard=False):
        assert read(model, (0.0, 1.0), settings) == []
    with chosen_readings(model, settings, is_heard=True):
        assert read(model, (0.0, 1.0), settings) != []

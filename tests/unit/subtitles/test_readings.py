"""The reading that is taken where none is trusted, with the demo's real model on noise."""

from dataclasses import replace

import numpy as np
import pytest

from tapemill.devices.determinism import seeded
from tapemill.devices.device import CPU
from tapemill.models import ModelFile
from tapemill.models.lockfile import read_lock
from tapemill.subtitles.readings import most_probable_reading
from tapemill.subtitles.whisper_loader import load_model
from tests.support.media.speech import LOCK, MODEL, RATE_HZ, SETTINGS

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
    with most_probable_reading(model, STRICT):
        [taken, *_] = read(model, (0.0, 1.0))
    assert taken["text"] == first["text"]
    assert (taken["temperature"], taken["avg_logprob"]) == (0.0, first["avg_logprob"])


def test_the_model_is_as_before_afterwards(model):
    with most_probable_reading(model, STRICT):
        assert "decode" in vars(model)
    assert "decode" not in vars(model)

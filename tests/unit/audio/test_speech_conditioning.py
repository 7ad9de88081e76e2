"""Conditioned audio for recognition, from speech that a detector hears, spoiled in one way each."""

import numpy as np
import pytest

from tapemill.audio.speech_conditioning import condition, find_hum, remove_hum
from tapemill.subtitles.vad import detect_speech
from tests.support.media.speech import RATE_HZ, SETTINGS, recording

SPEECH = recording().astype(np.float32) / np.float32(32768)
TIMES_S = np.arange(len(SPEECH)) / RATE_HZ


def heard_ms(samples):
    return sum(region.stop_ms - region.start_ms for region in detect_speech(samples, SETTINGS))


def not_asked(samples):
    raise AssertionError("one combination needs no detector")


def hum(hz, db, harmonics=8):
    level = 10 ** (db / 20) * np.sqrt(np.mean(SPEECH**2)) * np.sqrt(2)
    waves = [np.sin(2 * np.pi * hz * n * TIMES_S + n) / n for n in range(1, harmonics + 1)]
    return (level * sum(waves)).astype(np.float32)


def difference_db(found, expected):
    return 10 * np.log10(np.mean((found - expected) ** 2) / np.mean(expected**2))


@pytest.fixture(scope="module")
def clean():
    return remove_hum(SPEECH, RATE_HZ)[0]


@pytest.mark.parametrize("hz", [49.9, 50.0, 59.7, 60.1])
@pytest.mark.parametrize("db", [0, 26])
def test_hum_is_removed_and_speech_stays(clean, hz, db):
    found, hum_hz = remove_hum(SPEECH + hum(hz, db), RATE_HZ)
    assert hum_hz == pytest.approx(hz, abs=0.05)
    assert difference_db(found, clean) < -15


def test_hum_of_two_lines_is_hum():
    found = condition((SPEECH + hum(50, 26, 1) + hum(150, 20, 1))[None], RATE_HZ, not_asked)
    assert found.hum_hz == pytest.approx(50, abs=0.05)
    assert heard_ms(found.samples) > 0.9 * heard_ms(SPEECH)


def test_speech_and_noise_are_no_hum(clean):
    noise = np.random.default_rng(1).normal(size=len(SPEECH)).astype(np.float32) * 0.01
    assert find_hum(SPEECH, RATE_HZ) == find_hum(noise, RATE_HZ) == []
    assert difference_db(clean, SPEECH) < -30


@pytest.mark.parametrize("db", [-20, -40])
def test_quiet_speech_is_heard_as_well_as_loud(db):
    found = condition((SPEECH * np.float32(10 ** (db / 20)))[None], RATE_HZ, not_asked)
    assert found.gain_db > -db - 12
    assert heard_ms(found.samples) == pytest.approx(heard_ms(SPEECH), rel=0.1)


def test_speech_at_the_usual_level_keeps_its_level():
    assert condition(SPEECH[None], RATE_HZ, not_asked).gain_db == 0


def test_the_same_sound_in_two_channels_needs_no_choice():
    assert condition(np.stack([SPEECH, SPEECH * 0.5]), RATE_HZ, not_asked).channels == "all"


@pytest.mark.parametrize(
    ("right", "expected"),
    [(-SPEECH, "left"), (hum(1000, 20, 1), "left"), (SPEECH[::-1] * 0.001 - SPEECH, "left")],
    ids=["inverted", "a whistle", "inverted with crosstalk"],
)
def test_the_combination_with_speech_is_chosen(right, expected):
    found = condition(np.stack([SPEECH, right.astype(np.float32)]), RATE_HZ, heard_ms)
    assert found.channels == expected
    assert heard_ms(found.samples) > 0.9 * heard_ms(SPEECH)


def test_speech_in_the_right_channel_alone_is_found():
    silence = np.zeros_like(SPEECH)
    found = condition(np.stack([silence, SPEECH]), RATE_HZ, heard_ms)
    # The mean of both has all of it too.
    assert found.channels == "all"
    assert heard_ms(found.samples) == pytest.approx(heard_ms(SPEECH), rel=0.1)


def test_digital_silence_stays():
    found = condition(np.zeros((2, RATE_HZ), dtype=np.float32), RATE_HZ, not_asked)
    assert not found.samples.any()
    assert (found.hum_hz, found.gain_db) == (None, 0.0)

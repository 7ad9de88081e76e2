import numpy as np
import pytest

from demo import SCENES
from demo.tape import soundtrack, speech, storyboard
from tests.support.project import ROOT

DEMO = ROOT / "resources" / "demo"


@pytest.fixture(scope="module")
def spoken():
    return speech.read_table(DEMO / "speech.tsv")


@pytest.fixture(scope="module")
def clean(spoken):
    return soundtrack.clean_sound(spoken, speech.read_recording(DEMO / "speech.flac"))


@pytest.fixture(scope="module")
def taped(clean):
    return soundtrack.tape_sound(clean)


def piece(samples, name):
    scene = next(scene for scene in SCENES if scene.name == name)
    frames = slice(scene.span.start_frame * 1920, scene.span.stop_frame * 1920)
    return samples[frames, 0] / 32768


def level_db(samples):
    return 20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9)


def test_it_is_as_long_as_the_picture(clean, taped):
    assert clean.shape == taped.shape == (storyboard.FRAMES * 1920, 2)


def test_the_silent_scene_is_digital_silence_and_hisses_on_tape(clean, taped):
    assert not piece(clean, "beach")[10:-10].any()
    assert -60 < level_db(piece(taped, "beach")) < -40


def test_the_tape_hums_at_50_hz(taped):
    silent = piece(taped, "beach")[:96_000]
    spectrum = np.abs(np.fft.rfft(silent * np.hanning(len(silent))))
    # Two seconds: bins of half a hertz.
    assert np.argmax(spectrum[20:400]) + 20 == 100


def test_speech_starts_at_its_frame_and_stands_well_above_the_noise(clean, taped, spoken):
    for sentence in spoken:
        first = sentence.frame * 1920
        count = round((sentence.stop_s - sentence.start_s) * 48_000)
        during = taped[first : first + count, 0] / 32768
        before = taped[first - 9600 : first, 0] / 32768
        assert level_db(during) > level_db(before) + 12
        loud = np.flatnonzero(np.abs(clean[first : first + count, 0] / 32768) > 0.03)
        assert loud[0] < 0.1 * 48_000


def test_the_long_scene_is_quietest_where_it_should_be_divided(clean):
    long = piece(clean, "pier")
    seconds = [level_db(long[second * 48_000 : (second + 1) * 48_000]) for second in range(30)]
    assert int(np.argmin(seconds)) in {14, 15, 16}


def test_the_tape_is_the_same_each_time(clean, taped):
    assert np.array_equal(soundtrack.tape_sound(clean), taped)

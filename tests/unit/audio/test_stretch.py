"""Audio with a sampling clock that was off: its remark, and its length after it is stretched to the picture."""

import json
import wave
from fractions import Fraction

import numpy as np
import pytest

from tapemill.audio import AudioSettings, clean_sound, extract_audio
from tapemill.audio.stretch import Stretch
from tapemill.capture.audio_length import length_remarks
from tapemill.capture.probe import CaptureSettings, probe_capture
from tapemill.config.schema import load_config
from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import AudioTrackInfo, Capture
from tests.support.media.beeps import beeping, capture, decoded, found_beeps, heard
from tests.support.project import FIELD

CONFIG = load_config({})
SECONDS, RATE_HZ = 40, 44_100
BEEPS_S = [number + 0.1 for number in range(SECONDS)]


def probed(source, tmp_path):
    probe_capture(
        source=source,
        target=tmp_path / "capture.json",
        field_order="progressive",
        display_aspect=None,
        settings=CaptureSettings(**CONFIG["capture"]),
    )
    return Capture.read(tmp_path / "capture.json")


def clocked(tmp_path, real_hz, **options):
    """A capture whose sound card took `real_hz` samples a second and wrote that they were RATE_HZ."""
    return capture(
        tmp_path / "a.mkv",
        [(beeping(SECONDS, real_hz, **options), RATE_HZ, ("-c", "pcm_s16le"))],
        frames=SECONDS * 25,
        rate=Fraction(25),
    )


def cleaned(source, found, tmp_path, **changes):
    target, record = tmp_path / "sound.mka", tmp_path / "sound.json"
    settings = AudioSettings(**(CONFIG["audio"] | {"stretch_to_picture": True} | changes))
    clean_sound(
        sources=[source], takes=found.takes, sounds=found.sounds, target=target, record=record, settings=settings
    )
    return target, json.loads(record.read_text())["tracks"][0]


@pytest.mark.parametrize("real_hz", [44_320, 44_098, 43_400])
@pytest.mark.parametrize("changes", [{}, {"codec": "aac", "loudness_lufs": -20.0, "hiss_db": 6.0}])
def test_stretched_audio_has_the_length_of_the_picture_and_its_times(tmp_path, real_hz, changes):
    source = clocked(tmp_path, real_hz)
    found = probed(source, tmp_path)
    target, record = cleaned(source, found, tmp_path, **changes)
    assert record["samples"] == SECONDS * RATE_HZ
    assert record["stretched_from"] == pytest.approx(SECONDS * real_hz, abs=100)
    if not changes:
        assert len(decoded(target)) == SECONDS * RATE_HZ
    assert found_beeps(*heard(target, tmp_path)) == pytest.approx(BEEPS_S, abs=0.002)


def test_without_the_setting_audio_keeps_its_length(tmp_path):
    source = clocked(tmp_path, 44_320)
    target, record = cleaned(source, probed(source, tmp_path), tmp_path, stretch_to_picture=False)
    assert "stretched_from" not in record
    assert np.array_equal(decoded(target), decoded(source))


def test_the_speech_for_subtitles_is_stretched_alike(tmp_path):
    source = clocked(tmp_path, 44_320)
    found = probed(source, tmp_path)
    for start, stop in [(0, 250), (700, 1000)]:
        extract_audio(
            source=source,
            take=found.takes[0],
            sound_stream=1,
            span=FrameRange(start, stop),
            target=tmp_path / "scene.wav",
            per_picture_second=found.sounds[0].per_picture_second(Fraction(SECONDS)),
        )
        with wave.open(str(tmp_path / "scene.wav")) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert len(samples) == (stop - start) * 640
        expected = [beep - start / 25 for beep in BEEPS_S if start / 25 <= beep < stop / 25]
        assert found_beeps(samples / 2**15, 16_000) == pytest.approx(expected, abs=0.002)


def test_stretching_adds_no_noise(tmp_path):
    # A tone of 1 kHz of another clock, which the stretched track has at 1 kHz.
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(10 * 44_320) / 44_320)
    source = capture(
        tmp_path / "a.mkv",
        [((tone * 2**31).astype("<i4")[:, None], RATE_HZ, ("-c", "pcm_s24le"))],
        frames=250,
        rate=Fraction(25),
    )
    target, record = cleaned(source, probed(source, tmp_path), tmp_path)
    # Nearly 1 kHz: time stamps of Matroska, and so the length, are rounded to milliseconds.
    per_sample = 1000 / 44_320 * record["stretched_from"] / record["samples"]
    inner = decoded(target)[RATE_HZ:-RATE_HZ, 0] / 2**31
    angles = 2 * np.pi * per_sample * np.arange(len(inner))
    basis = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, inner, rcond=None)[0]
    assert 10 * np.log10(np.mean(fitted**2) / np.mean((inner - fitted) ** 2)) > 80


def test_a_track_that_differs_by_more_than_a_clock_is_left_as_it_is(tmp_path, caplog):
    source = clocked(tmp_path, 42_000)
    found = probed(source, tmp_path)
    _, record = cleaned(source, found, tmp_path)
    assert "stretched_from" not in record
    assert (
        "stream 1 is not stretched to the picture: its length differs from that of the picture by more than 2 %"
        in caplog.text
    )
    remark = next(each for each in found.notes["remarks"] if "audio track" in each)
    assert "audio track 1 ends 1.91 s before the picture, which is 40.00 s long (4.76 %)" in remark
    assert "stretch_to_picture" not in remark


@pytest.mark.parametrize(
    ("picture_s", "end_s", "is_told"),
    [
        # A capture that was stopped, and the padding of a codec.
        (3600, 3600.4, False),
        (5, 5.06, False),
        # A clock that is off by 0.2 %, and audio that is lost.
        (100, 100.2, True),
        (3600, 3599.3, True),
        (60, 20, True),
    ],
)
def test_what_is_worth_a_remark(picture_s, end_s, is_told):
    sound = AudioTrackInfo(1, "pcm_s16le", 48_000, 2, "", "", Fraction(str(end_s)))
    assert len(list(length_remarks([sound], Fraction(picture_s)))) == is_told


@pytest.mark.parametrize(("samples", "wanted"), [(172_800_001, 172_800_000), (172_900_123, 172_800_000), (9, 8)])
def test_rates_have_the_ratio_of_the_lengths(samples, wanted):
    first, second = Stretch(samples, wanted).rates(48_000)
    assert abs(samples * second / first - wanted) <= 1
    assert 48_000 <= second <= 548_000


@pytest.mark.skipif(not FIELD.exists(), reason="the inputs from the field are not here")
def test_a_clock_that_is_off_is_told_and_mended(tmp_path):
    source = FIELD / "sound" / "clock_off.mkv"
    found = probed(source, tmp_path)
    assert any(
        "ends 0.05 s after the picture, which is 11.00 s long (0.49 %)" in each for each in found.notes["remarks"]
    )
    target, record = cleaned(source, found, tmp_path)
    assert record["samples"] == len(decoded(target)) == 11 * RATE_HZ

"""The recogniser's sound: exact length, each beep at its place, silence where there is nothing."""

import wave
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tapemill.audio.speech_input import extract_audio
from tapemill.core.timing import FrameRange
from tapemill.media import audio_samples
from tapemill.media.audio_samples import mean_square_per_frame
from tests.support.capture_info import capture_of, from_zero
from tests.support.media.frame_codes import irregular_times, make_capture, onsets_s

SMALL = {"size": (256, 128), "frames": 250}
CAPTURES = {
    "25.mkv": {},
    "ntsc.ts": {"rate": Fraction(30000, 1001)},
    "aac.mp4": {"rate": Fraction(50), "sound_rate_hz": 44_100, "gop": 250},
    "late sound.mkv": {"sound_start_s": Fraction(37, 100)},
    "late picture.mp4": {"picture_start_s": Fraction(63, 100)},
    "sound from before the tape.mkv": {"picture_start_s": Fraction(1), "sound_start_s": Fraction(1, 2)},
    "early end.mkv": {"sound_stop_s": Fraction(9, 2)},
    "variable.mkv": {"rate": Fraction(30), "times_s": irregular_times(250, Fraction(30))},
    "32 kHz.avi": {"codec": "mpeg4", "b_frames": 0, "sound_rate_hz": 32_000},
}


def speech(source, capture, start, stop, target):
    stream = capture.sounds[0].stream_index if capture.sounds else None
    extract_audio(
        source=source, take=capture.takes[0], sound_stream=stream, span=FrameRange(start, stop), target=target
    )
    with wave.open(str(target), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.mark.parametrize("name", CAPTURES)
def test_each_beep_is_at_its_place(tmp_path, name):
    truth = make_capture(tmp_path / name, **{**SMALL, **CAPTURES[name]})
    capture = capture_of(truth.path, rate=truth.rate)

    for start, stop in pairwise([0, 12, 60, 131, capture.frames]):
        samples = speech(truth.path, capture, start, stop, tmp_path / "scene.wav")

        begin_s, stop_s = start / truth.rate, stop / truth.rate
        assert len(samples) == round((stop_s - begin_s) * 16_000)
        beeps = [float(b - begin_s) for b in truth.beeps_s if begin_s <= b < stop_s - Fraction(1, 100)]
        if beeps:
            heard = onsets_s(np.arange(len(samples)) / 16_000, samples.astype(float))
            assert heard[-len(beeps) :] == pytest.approx(beeps, abs=1e-3)


@pytest.mark.parametrize("name", ["25.mkv", "ntsc.ts", "32 kHz.avi"])
def test_a_part_is_the_part_of_the_whole(tmp_path, name):
    truth = make_capture(tmp_path / name, **{**SMALL, **CAPTURES[name]})
    capture = capture_of(truth.path, rate=truth.rate)

    whole = speech(truth.path, capture, 0, 250, tmp_path / "whole.wav").astype(int)
    part = speech(truth.path, capture, 100, 201, tmp_path / "part.wav").astype(int)

    first = round(100 / truth.rate * 16_000)
    assert np.abs(part - whole[first : first + len(part)]).max() <= 1


def test_a_gap_in_the_sound_is_silence_and_moves_nothing(tmp_path):
    truth = make_capture(tmp_path / "whole.mkv", **SMALL)
    holed = tmp_path / "holed.mkv"
    with av.open(str(truth.path)) as source, av.open(str(holed), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            gone = packet.stream.type == "audio" and packet.size and 2.5 <= packet.pts * packet.time_base < 4.5
            if packet.size and not gone:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)

    capture = capture_of(holed)
    for start in (0, 70, 100):
        samples = speech(holed, capture, start, 250, tmp_path / "scene.wav").astype(float)

        begin_s = start / 25
        beeps = [float(b) - begin_s for b in truth.beeps_s if b >= begin_s and not 2.5 <= b < 4.5]
        assert onsets_s(np.arange(len(samples)) / 16_000, samples) == pytest.approx(beeps, abs=1e-3)


def test_a_track_whose_head_is_damaged_is_silence_of_the_right_length(tmp_path):
    path = make_capture(tmp_path / "a.mkv", **SMALL, sound_codec="flac").path
    data = path.read_bytes()
    # STREAMINFO (RFC 9639, 8.2) says rate, channels and depth; without it there is no format to be had.
    place = data.index(b"fLaC") + 8
    path.write_bytes(data[:place] + bytes(34) + data[place + 34 :])
    capture = capture_of(path)
    assert len(capture.sounds) == 1
    assert len(speech(path, capture, 25, 75, tmp_path / "scene.wav")) == 32_000
    power = mean_square_per_frame(path, capture.sounds[0].stream_index, clock=from_zero(9))
    assert power.shape == (9,)


def test_no_sound_is_silence(tmp_path):
    truth = make_capture(tmp_path / "mute.mkv", **SMALL, sound_start_s=None)

    samples = speech(truth.path, capture_of(truth.path), 10, 35, tmp_path / "scene.wav")

    assert len(samples) == 16_000
    assert not samples.any()


def test_a_tape_that_changes_its_sampling_rate(tmp_path):
    parts = [
        make_capture(
            tmp_path / f"{rate}.ts",
            **SMALL,
            b_frames=0,
            sound_rate_hz=rate,
            picture_start_s=Fraction(start),
            sound_start_s=Fraction(start),
        )
        for rate, start in ((48_000, 0), (32_000, 10))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.path.read_bytes() for part in parts))
    capture = capture_of(joined)
    assert capture.frames == 500

    samples = speech(joined, capture, 300, 400, tmp_path / "scene.wav").astype(float)

    # The first recording begins a little late (its encoder's lead), so that the second seems early.
    late_s = float(capture.takes[0].start_s)
    expected = [k - late_s for k in (1, 2, 3, 4)]
    assert onsets_s(np.arange(len(samples)) / 16_000, samples)[-4:] == pytest.approx(expected, abs=1e-3)


def test_same_bytes_twice(tmp_path):
    truth = make_capture(tmp_path / "aac.mp4", **SMALL)
    capture = capture_of(truth.path)

    for name in ("1.wav", "2.wav"):
        speech(truth.path, capture, 33, 166, tmp_path / name)

    assert (tmp_path / "1.wav").read_bytes() == (tmp_path / "2.wav").read_bytes()


@pytest.mark.parametrize(("rate_hz", "channels"), [(-5, 2), (0, 0), (2_000_000_000, -1), (48_000, 5000)])
def test_a_track_that_states_nonsense_is_taken_for_a_usual_one(rate_hz, channels):
    context = SimpleNamespace(format=None, sample_rate=rate_hz, channels=channels)
    track = audio_samples._sample_format(SimpleNamespace(codec_context=context))
    assert 0 < track.rate_hz <= 768_000
    assert 0 < track.channels <= 64

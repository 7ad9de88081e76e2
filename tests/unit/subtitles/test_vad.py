import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tapemill.core.errors import SceneError
from tapemill.devices import model_cache
from tapemill.devices.determinism import torch_threads
from tapemill.records.speech import SpeechRegion
from tapemill.subtitles.vad import _align_to_columns, detect_speech, merge_close_regions, read_samples
from tests.support.media.speech import SETTINGS, SPANS_S, recording, silence, write_wav


def samples(tmp_path, *parts):
    return read_samples(write_wav(tmp_path / "a.wav", *parts))


def test_speech_is_found_where_it_is(tmp_path):
    before = torch.get_num_threads()
    regions = detect_speech(samples(tmp_path, silence(3), recording(), silence(2)), SETTINGS)
    assert len(regions) == 2
    for region, (start_s, stop_s) in zip(regions, SPANS_S, strict=True):
        assert 0 <= 3 + start_s - region.start_ms / 1000 <= 0.3
        assert 0 <= region.stop_ms / 1000 - 3 - stop_s <= 0.5
        assert region.start_ms % 10 == region.stop_ms % 10 == 0
    assert torch.get_num_threads() == before


def test_no_region_ends_after_the_last_whole_column_of_the_spectrum(tmp_path):
    """transcribe() never returns from a clip that ends later than its spectrum."""
    sound = samples(tmp_path, silence(1), recording())[:-1]
    assert detect_speech(sound, SETTINGS)[-1].stop_ms == len(sound) // 160 * 10 == 6790


def test_neighbours_do_not_overlap_by_rounding():
    assert _align_to_columns([(0, 1601), (1601, 3000), (3299, 3300)], 3300) == [
        SpeechRegion(0, 100),
        SpeechRegion(100, 190),
    ]


def test_noise_and_hum_are_no_speech(tmp_path):
    noise = np.random.default_rng(1).normal(0, 2000, 16_000 * 5)
    hum = 3000 * np.sin(np.arange(16_000 * 5) * 2 * np.pi * 50 / 16_000)
    assert detect_speech(samples(tmp_path, noise + hum), SETTINGS) == []


def test_silence_and_no_samples_at_all(tmp_path):
    assert detect_speech(samples(tmp_path, silence(2)), SETTINGS) == []
    assert detect_speech(samples(tmp_path, silence(0)), SETTINGS) == []


def test_silence_is_answered_without_torch(tmp_path):
    path = write_wav(tmp_path / "a.wav", silence(1))
    program = (
        "import sys; from pathlib import Path; from tests.support.media.speech import SETTINGS; "
        "from tapemill.subtitles.vad import detect_speech, read_samples; "
        f"assert detect_speech(read_samples(Path({str(path)!r})), SETTINGS) == []; "
        "assert not {'torch', 'whisper', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_short_sound_is_no_speech_if_the_settings_say_so(tmp_path):
    sound = samples(tmp_path, silence(1), recording(), silence(1))
    assert detect_speech(sound, replace(SETTINGS, vad_min_speech_s=4)) == []


@pytest.mark.parametrize(
    ("gap_s", "expected"),
    [(0.5, [SpeechRegion(0, 1500), SpeechRegion(2000, 3000)]), (0.51, [SpeechRegion(0, 3000)]), (0, None)],
)
def test_short_pauses_are_filled(gap_s, expected):
    regions = [SpeechRegion(0, 1000), SpeechRegion(1000, 1500), SpeechRegion(2000, 3000)]
    assert merge_close_regions(regions, gap_s) == (regions if expected is None else expected)


def test_another_format_is_refused(tmp_path):
    with pytest.raises(SceneError, match="44100 Hz"):
        read_samples(write_wav(tmp_path / "a.wav", silence(1), rate_hz=44_100))
    (tmp_path / "b.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(SceneError, match=r"cannot be read(.|\n)*b\.wav"):
        read_samples(tmp_path / "b.wav")


def probabilities(detector, sound):
    detector.reset_states()
    windows = range(0, len(sound) - 511, 512)
    with torch.inference_mode():
        return [detector(torch.from_numpy(sound[start : start + 512]), 16_000).item() for start in windows]


def test_a_detector_that_has_heard_other_sounds_gives_the_same_bits_as_a_new_one(tmp_path):
    from silero_vad import load_silero_vad

    rng = np.random.default_rng(1)
    said = samples(tmp_path, silence(0.5), recording())
    sounds = [said, said[::-1].copy(), said + rng.normal(0, 0.02, len(said)).astype(np.float32)]
    with torch_threads(1):
        fresh = [probabilities(load_silero_vad(), sound) for sound in sounds]
        used = load_silero_vad()
        for _ in range(3):
            assert [probabilities(used, sound) for sound in sounds] == fresh


def test_the_detector_is_loaded_once(tmp_path, monkeypatch):
    import silero_vad

    loaded = []
    original = silero_vad.load_silero_vad
    monkeypatch.setattr(silero_vad, "load_silero_vad", lambda: loaded.append(1) or original())
    model_cache.clear()
    sound = samples(tmp_path, silence(0.5), recording())
    assert detect_speech(sound, SETTINGS) == detect_speech(sound, SETTINGS)
    assert len(loaded) == 1

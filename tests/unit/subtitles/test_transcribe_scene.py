import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import jiwer
import numpy as np
import pytest

from tapemill.core.errors import ConfigError, ModelError, SceneError
from tapemill.models import ModelFile, read_lock
from tapemill.storage.fingerprint import sha256
from tapemill.subtitles import transcribe_scene
from tapemill.subtitles.srt import read_srt
from tests.support.media.speech import (
    LOCK,
    MODEL,
    SENTENCES,
    SETTINGS,
    SPANS_S,
    recording,
    sentence,
    silence,
    write_wav,
)

SHA256 = read_lock(LOCK)["demo-en"]["sha256"]
# A model that cannot be used: whoever asks for it gets an error.
NO_MODEL = ModelFile(Path("no model"), SHA256)


def transcribe(folder, wav, seconds=10, **changes):
    given = {
        "audio": wav,
        "model": ModelFile(MODEL, SHA256),
        "srt": folder / "0000000.srt",
        "record": folder / "0000000.json",
        "language": "en",
        "frames": 25 * seconds,
        "rate": Fraction(25),
        "settings": SETTINGS,
        "recipe": 1,
        **changes,
    }
    transcribe_scene(**given)
    return read_srt(given["srt"]), json.loads(given["record"].read_text())


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A scene of 10 s whose first sentence starts at 3 s, transcribed: WAV, SRT and record."""
    folder = tmp_path_factory.mktemp("spoken")
    wav = write_wav(folder / "0000000.wav", silence(3), recording(), silence(1.2))
    transcribe(folder, wav)
    return folder


@pytest.fixture
def again(spoken, tmp_path):
    """The same, to be worked on."""
    for file in spoken.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_words_and_times(spoken):
    cues = read_srt(spoken / "0000000.srt")
    assert [cue.text.replace("\n", " ") for cue in cues] == list(SENTENCES)
    for cue, (start_s, stop_s) in zip(cues, SPANS_S, strict=True):
        assert cue.start_ms / 1000 == pytest.approx(3 + start_s, abs=0.06)
        assert cue.stop_ms / 1000 == pytest.approx(3 + stop_s, abs=0.15)


@pytest.mark.parametrize("join_s", [0, 30])
def test_the_start_of_a_lone_segment_is_right_wherever_the_window_starts(tmp_path, join_s):
    """transcribe() itself says that it starts with its window, and by default never more than 1 s later."""
    wav = write_wav(tmp_path / "a.wav", silence(0.1), sentence(1), silence(4.25), sentence(0), silence(1))
    chosen = replace(SETTINGS, speech_join_s=join_s, vad_pad_s=1.5)
    cues, _ = transcribe(tmp_path, wav, settings=chosen)
    assert [cue.start_ms / 1000 for cue in cues] == pytest.approx([0.1, 6.7], abs=0.06)


def test_word_times_do_not_move_the_start(tmp_path):
    wav = write_wav(tmp_path / "a.wav", silence(3), recording(), silence(1.2))
    cues, record = transcribe(tmp_path, wav, settings=replace(SETTINGS, word_timestamps=True))
    assert [cue.start_ms / 1000 for cue in cues] == pytest.approx([3, 6.45], abs=0.06)
    words = record["heard"]["segments"][0]["words"]
    assert [word["text"].strip() for word in words] == SENTENCES[0].split()


def test_noise_gives_no_text_and_speech_in_noise_does(tmp_path):
    rng = np.random.default_rng(3)
    said = np.concatenate([silence(2), recording(), silence(2.2)])
    noisy = write_wav(tmp_path / "a.wav", said + rng.normal(0, 300, len(said)))
    cues, _ = transcribe(tmp_path, noisy)
    errors = jiwer.wer(" ".join(SENTENCES), " ".join(cue.text.replace("\n", " ") for cue in cues))
    assert errors <= 0.2
    (tmp_path / "0000000.srt").unlink()
    noise = write_wav(tmp_path / "b.wav", rng.normal(0, 300, 160_000))
    assert transcribe(tmp_path, noise)[0] == []


def test_without_speech_the_srt_is_empty_and_no_model_is_touched(tmp_path):
    wav = write_wav(tmp_path / "a.wav", silence(4))
    cues, record = transcribe(tmp_path, wav, model=NO_MODEL, language=None)
    assert cues == []
    assert (tmp_path / "0000000.srt").read_bytes() == b""
    assert record["heard"] == {"language": None, "speech": [], "segments": []}


def test_same_input_same_bytes_on_any_number_of_threads(spoken, tmp_path):
    script = (
        "from pathlib import Path; from tests.unit.subtitles.test_transcribe_scene import transcribe; "
        f"transcribe(Path({str(tmp_path)!r}), Path({str(spoken / '0000000.wav')!r}))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "2", "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
    for name in ("0000000.srt", "0000000.json"):
        assert (tmp_path / name).read_bytes() == (spoken / name).read_bytes()


def test_a_process_that_did_other_scenes_before_writes_the_same_bytes(spoken, tmp_path):
    other = write_wav(tmp_path / "other.wav", sentence(1), silence(1))
    restless = replace(SETTINGS, temperatures=[0.8], seed=5, word_timestamps=True, beam_size=3)
    transcribe(tmp_path, other, srt=tmp_path / "other.srt", record=tmp_path / "other.json", settings=restless)
    transcribe(tmp_path, spoken / "0000000.wav")
    for name in ("0000000.srt", "0000000.json"):
        assert (tmp_path / name).read_bytes() == (spoken / name).read_bytes()


def test_a_cue_setting_lays_out_anew_without_recognising(again):
    cues, record = transcribe(
        again, again / "0000000.wav", model=NO_MODEL, settings=replace(SETTINGS, line_characters=20)
    )
    assert max(len(line) for cue in cues for line in cue.text.split("\n")) <= 20
    assert record["heard"]["segments"]


def test_a_guard_setting_judges_anew_without_recognising(again):
    strict = replace(SETTINGS, repeat_limit=1)
    cues, _ = transcribe(again, again / "0000000.wav", model=NO_MODEL, settings=strict)
    assert len(cues) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": 2},
        {"language": "de"},
        {"task": "translate"},
        {"model": ModelFile(Path("no model"), "0" * 64)},
        {"settings": replace(SETTINGS, seed=1)},
        {"settings": replace(SETTINGS, vad_pad_s=0.1)},
    ],
)
def test_whatever_concerns_recognition_recognises_again(again, changes):
    with pytest.raises(ModelError, match="is missing"):
        transcribe(again, again / "0000000.wav", **{"model": NO_MODEL, **changes})


def test_a_correction_by_hand_is_kept_byte_for_byte(again, caplog):
    srt = again / "0000000.srt"
    corrected = srt.read_bytes().replace(b"Grandma", b"Oma").replace(b"\n", b"\r\n")
    srt.write_bytes(corrected)
    os.utime(srt, (1, 1))
    with caplog.at_level(logging.WARNING):
        transcribe(again, again / "0000000.wav", model=NO_MODEL, recipe=2, settings=replace(SETTINGS, lines=1))
    assert srt.read_bytes() == corrected
    assert srt.stat().st_mtime > 1
    assert "corrected by hand" in caplog.text
    record = json.loads((again / "0000000.json").read_text())
    assert "by hand" in record["note"]
    assert record["made_from"]["recipe"] == 1


def test_a_deleted_correction_is_made_again(again):
    srt = again / "0000000.srt"
    generated = srt.read_bytes()
    srt.write_text("1\n00:00:01,000 --> 00:00:02,000\nMine.\n")
    cues, _ = transcribe(again, again / "0000000.wav", model=NO_MODEL)
    assert cues[0].text == "Mine."
    srt.unlink()
    transcribe(again, again / "0000000.wav", model=NO_MODEL)
    assert srt.read_bytes() == generated
    assert "note" not in json.loads((again / "0000000.json").read_text())


def test_an_srt_without_a_record_is_somebodys(spoken, tmp_path):
    (tmp_path / "0000000.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nMine.\n")
    cues, _ = transcribe(tmp_path, spoken / "0000000.wav", model=NO_MODEL)
    assert cues[0].text == "Mine."


def test_stopped_between_record_and_srt_nothing_is_taken_for_a_correction(again):
    srt, record = again / "0000000.srt", again / "0000000.json"
    before = srt.read_bytes()
    narrow = replace(SETTINGS, line_characters=20)
    transcribe(again, again / "0000000.wav", settings=narrow)
    after = srt.read_bytes()
    assert after != before
    # As if the machine had stopped after the record was written.
    srt.write_bytes(before)
    transcribe(again, again / "0000000.wav", settings=narrow)
    assert srt.read_bytes() == after
    record.write_text("{half")
    srt.unlink()
    transcribe(again, again / "0000000.wav", settings=narrow)
    assert srt.read_bytes() == after


@pytest.mark.parametrize("settings", [SETTINGS, replace(SETTINGS, line_characters=20)])
def test_stopped_after_both_were_written_it_writes_the_same_bytes_again(again, settings):
    srt, record = again / "0000000.srt", again / "0000000.json"
    if settings != SETTINGS:
        # It replaces another one.
        transcribe(again, again / "0000000.wav", model=NO_MODEL, settings=settings)
    before = srt.read_bytes(), record.read_bytes()
    transcribe(again, again / "0000000.wav", model=NO_MODEL, settings=settings)
    assert (srt.read_bytes(), record.read_bytes()) == before


def test_a_model_that_is_not_the_pinned_one_is_not_loaded(tmp_path):
    wav = write_wav(tmp_path / "a.wav", recording())
    model = tmp_path / "demo-en.pt"
    model.write_bytes(MODEL.read_bytes() + b"x")
    with pytest.raises(ModelError, match="not the one that was pinned"):
        transcribe(tmp_path, wav, model=ModelFile(model, SHA256))
    assert not (tmp_path / "0000000.srt").exists()


def test_a_scene_that_cannot_be_heard_fails_or_has_no_subtitles(tmp_path, caplog):
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"RIFF and nothing that belongs there")
    with pytest.raises(SceneError, match="cannot be read"):
        transcribe(tmp_path, wav)
    assert not (tmp_path / "0000000.srt").exists()
    cues, record = transcribe(tmp_path, wav, on_failure="keep_original")
    assert cues == []
    assert record["left_empty"]["error"] == "SceneError"
    assert "cannot be read" in record["left_empty"]["message"]
    assert "gets no subtitles" in caplog.text
    # It is nobody's correction: once there is sound, it is transcribed.
    write_wav(wav, sentence(1), silence(1))
    cues, record = transcribe(tmp_path, wav)
    assert cues
    assert "left_empty" not in record


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    import torch

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    wav = write_wav(tmp_path / "a.wav", recording())
    model = tmp_path / "evil.pt"
    torch.save({"dims": Evil()}, model)
    with pytest.raises(ModelError, match="holds code"):
        transcribe(tmp_path, wav, model=ModelFile(model, sha256(model)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"language": "de"}, "English only"), ({"task": "translate"}, "English only"), ({"language": "xx"}, "'xx'")],
)
def test_what_the_model_cannot_do_is_said(tmp_path, changes, message):
    wav = write_wav(tmp_path / "a.wav", recording())
    with pytest.raises(ConfigError, match=message):
        transcribe(tmp_path, wav, **changes)

import json

import pytest

from tapemill.models import ModelFile, read_lock
from tapemill.subtitles import language_vote, read_language, vote_language
from tests.support.media.speech import LOCK, MODEL, SETTINGS, recording, silence, write_wav

SHA256 = read_lock(LOCK)["demo-en"]["sha256"]


def vote(tmp_path, *audios, model=MODEL):
    target = tmp_path / "language.json"
    vote_language(audios=audios, model=ModelFile(model, SHA256), target=target, settings=SETTINGS)
    return json.loads(target.read_text())


def test_an_english_only_model_is_not_asked(tmp_path):
    spoken = write_wav(tmp_path / "0000000.wav", silence(1), recording())
    silent = write_wav(tmp_path / "0000100.wav", silence(1))
    assert vote(tmp_path, spoken, silent) == {
        "language": "en",
        "votes": {"0000000": "en"},
        "probabilities": {"en": 1.0},
    }
    assert read_language(tmp_path / "language.json") == "en"


def test_nobody_speaks(tmp_path):
    silent = write_wav(tmp_path / "0000000.wav", silence(1))
    assert vote(tmp_path, silent, model=tmp_path / "no model") == {"language": None, "votes": {}, "probabilities": {}}
    assert read_language(tmp_path / "language.json") is None


def test_one_sure_scene_counts_more_than_two_doubtful_ones():
    opinions = {
        "0": {"de": 0.95, "nl": 0.05},
        "1": {"nl": 0.4, "de": 0.35, "af": 0.25},
        "2": {"nl": 0.4, "de": 0.3, "af": 0.3},
    }
    counted = language_vote._tally(opinions)
    assert counted.language == "de"
    assert counted.votes == {"0": "de", "1": "nl", "2": "nl"}
    assert counted.probabilities == {"de": 0.5333, "nl": 0.2833, "af": 0.1833}


def test_a_tie_is_no_accident():
    assert language_vote._tally({"0": {"sv": 0.5, "no": 0.5}}).language == "no"
    assert language_vote._tally({"0": {"no": 0.5, "sv": 0.5}}).language == "no"


@pytest.fixture
def multilingual():
    """A model with language tokens and random weights."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    model = Whisper(ModelDimensions(80, 1500, 64, 2, 1, 51865, 448, 64, 2, 1)).eval()
    # whisper leaves it to the checkpoint.
    torch.nn.init.zeros_(model.decoder.positional_embedding)
    return model


def test_a_multilingual_model_names_languages(multilingual, tmp_path):
    from tapemill.subtitles.vad import read_samples

    samples = read_samples(write_wav(tmp_path / "a.wav", recording()))
    probabilities = language_vote._probabilities(multilingual, samples)
    assert {"en", "de", "ja", "th"} <= set(probabilities)
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-4)

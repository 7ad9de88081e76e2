"""Checkpoints of Whisper are inspected before anything of the stated size is built."""

import tracemalloc

import pytest
import torch

from tapemill.core.errors import ModelError
from tapemill.models.whisper_checkpoint import inspect_checkpoint
from tests.support.media.speech import MODEL


@pytest.fixture(scope="module")
def content():
    return torch.load(MODEL, weights_only=True)


def write(path, content, **changes):
    torch.save({"dims": content["dims"] | changes, "model_state_dict": content["model_state_dict"]}, path)
    return path


def test_the_demo_model_is_a_speech_model(content):
    found = inspect_checkpoint(MODEL)
    assert (found.kind, found.scale) == ("speech", None)
    assert str(content["dims"]["n_text_state"]) in found.architecture


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, 10**9)
            for name in ("n_vocab", "n_mels", "n_audio_ctx", "n_audio_state", "n_text_ctx", "n_text_state")
        ),
        ("n_audio_layer", 10**8),
        ("n_text_layer", 10**8),
        ("n_text_head", 10**8),
        ("n_vocab", -1),
        ("n_vocab", 0),
        ("n_vocab", True),
        ("n_vocab", "51865"),
        ("n_vocab", 5.0),
        ("n_vocab", [[1]]),
    ],
)
def test_dimensions_that_the_tensors_lack_are_refused_at_once(tmp_path, content, name, value):
    path = write(tmp_path / "a.pt", content, **{name: value})
    tracemalloc.start()
    with pytest.raises(ModelError, match=name):
        inspect_checkpoint(path)
    assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size
    tracemalloc.stop()


def test_an_unknown_dimension_or_none_is_refused(tmp_path, content):
    with pytest.raises(ModelError, match="its dimensions are"):
        inspect_checkpoint(write(tmp_path / "a.pt", content, n_more=3))
    torch.save({"dims": {}, "model_state_dict": content["model_state_dict"]}, tmp_path / "b.pt")
    with pytest.raises(ModelError, match="its dimensions are"):
        inspect_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize("layer", ["decoder.token_embedding.weight", "encoder.positional_embedding"])
def test_a_missing_tensor_is_named(tmp_path, content, layer):
    state = {key: tensor for key, tensor in content["model_state_dict"].items() if key != layer}
    torch.save({"dims": content["dims"], "model_state_dict": state}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=layer):
        inspect_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "other", [{"model_state_dict": {}}, {"dims": 3, "model_state_dict": 4}, [1], {"params": {"a": torch.ones(1)}}]
)
def test_another_kind_of_file_is_refused(tmp_path, other):
    torch.save(other, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="no speech model"):
        inspect_checkpoint(tmp_path / "a.pt")


def test_a_page_of_html_is_refused(tmp_path):
    (tmp_path / "a.pt").write_text("<!DOCTYPE html><html><body>404</body></html>")
    with pytest.raises(ModelError, match="damaged or incomplete"):
        inspect_checkpoint(tmp_path / "a.pt")

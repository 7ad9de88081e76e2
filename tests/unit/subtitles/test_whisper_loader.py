import os
import shutil

import pytest
import torch
import whisper

from tapemill.core.errors import ModelError
from tapemill.devices import model_cache
from tapemill.devices.device import CPU
from tapemill.models import ModelFile, read_lock
from tapemill.storage import fingerprint
from tapemill.subtitles.whisper_loader import densify_alignment_heads, load_model, timing_on_cpu, to_half, weights_bytes
from tests.support.media.speech import LOCK, MODEL

SHA256 = read_lock(LOCK)["demo-en"]["sha256"]


@pytest.fixture
def file(tmp_path):
    model_cache.clear()
    yield ModelFile(shutil.copy(MODEL, tmp_path / "demo-en.pt"), SHA256)
    model_cache.clear()


def test_a_model_is_loaded_once_and_its_file_hashed_once(file, monkeypatch):
    hashed = []
    original = fingerprint.sha256
    monkeypatch.setattr("tapemill.storage.fingerprint.sha256", lambda path: hashed.append(path) or original(path))
    assert load_model(file, CPU) is load_model(file, CPU)
    assert hashed == [file.path]
    model_cache.clear()
    load_model(file, CPU)
    assert len(hashed) == 2


def test_a_file_with_a_new_time_is_hashed_again_and_a_changed_one_refused(file):
    model = load_model(file, CPU)
    os.utime(file.path, (1, 1))
    assert load_model(file, CPU) is model
    with file.path.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ModelError, match="not the one that was pinned"):
        load_model(file, CPU)
    with pytest.raises(ModelError, match="not the one that was pinned"):
        load_model(file, CPU)
    file.path.unlink()
    with pytest.raises(ModelError, match="is missing"):
        load_model(file, CPU)


def test_the_need_is_what_the_weights_really_take(file):
    model = load_model(file, CPU)
    exact = sum(value.nbytes for value in model.state_dict().values())
    assert weights_bytes(file.path, torch.float32) == pytest.approx(exact, rel=0.02)
    assert weights_bytes(file.path, torch.float16) == pytest.approx(exact / 2, rel=0.02)


def test_the_need_of_a_file_that_is_no_archive_is_its_size(tmp_path):
    (tmp_path / "old.pt").write_bytes(b"x" * 1000)
    assert weights_bytes(tmp_path / "old.pt", torch.float16) == 1000
    assert weights_bytes(tmp_path / "none.pt", torch.float16) == 0


def test_half_the_memory_and_the_same_numbers(file):
    plain = whisper.load_model(str(file.path), device="cpu")
    halved = whisper.load_model(str(file.path), device="cpu")
    to_half(halved)
    mel = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(1)).half()
    tokens = torch.tensor([[50257, 50362, 318, 1110]])
    with torch.inference_mode():
        assert torch.equal(plain(mel, tokens), halved(mel, tokens))
    held = sum(value.nbytes for value in halved.state_dict().values())
    assert held < 0.55 * sum(value.nbytes for value in plain.state_dict().values())


def test_alignment_heads_are_out_of_the_way_of_every_move(file):
    model = whisper.load_model(str(file.path), device="cpu")
    heads = model.alignment_heads.indices().tolist()
    densify_alignment_heads(model)
    model.to("meta")
    assert next(model.parameters()).device.type == "meta"
    assert model.alignment_heads.indices().tolist() == heads


def test_whispers_timing_is_put_back(file):
    class OnGpu:
        device = torch.device("meta")

    original = whisper.timing.dtw
    with timing_on_cpu(load_model(file, CPU)):
        assert whisper.timing.dtw is original
    with pytest.raises(ValueError, match="broken"), timing_on_cpu(OnGpu()):
        assert whisper.timing.dtw is not original
        raise ValueError("broken")
    assert whisper.timing.dtw is original

import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from tapemill.errors import ModelError
from tapemill.weights import load_state

STATE = {"body.0.weight": torch.arange(6.0).reshape(2, 3), "body.0.bias": torch.ones(2, dtype=torch.float16)}


def same(found):
    assert found.keys() == STATE.keys()
    for key, tensor in STATE.items():
        assert found[key].dtype == tensor.dtype
        assert torch.equal(found[key], tensor)


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"params": STATE},
        {"params": {"body.0.weight": torch.zeros(1)}, "params_ema": STATE},
        {"state_dict": {"module." + key: tensor for key, tensor in STATE.items()}, "epoch": 3, "lr": 1e-4},
        {"model": {"net": STATE}},
        {"anything": STATE},
        {"netG." + key: tensor for key, tensor in STATE.items()},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_is_found_in_what_trainers_wrap_it_in(tmp_path, content, zipped):
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    same(load_state(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_safetensors_are_known_by_what_they_are_not_by_their_name(tmp_path, name):
    save_file(STATE, tmp_path / name)
    same(load_state(tmp_path / name))


class Trap:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (self.victim,)


@pytest.mark.parametrize("way", ["torch", "torch before 1.6", "pickle"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_a_pickle_is_named_and_not_run(tmp_path, way, protocol):
    path, victim = tmp_path / "w.pth", tmp_path / "ran"
    content = STATE | {"trap": Trap(str(victim))}
    if way == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    else:
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=way == "torch")
    # A plain pickle of tensors calls two functions more.
    more = r"torch\.storage\._load_from_bytes, (_codecs\.encode, )?" if way == "pickle" else ""
    said = rf"holds code \({more}posix\.mkdir\), which is never run(.|\n)*safetensors"
    with pytest.raises(ModelError, match=said):
        load_state(path)
    assert not victim.exists()
    # It does run where nobody takes care, so the test means something.
    if way == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert victim.exists()


def test_a_whole_network_object_is_code(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"holds code \(torch\.nn\.modules\.linear\.Linear"):
        load_state(tmp_path / "w.pth")


def test_torchscript_is_code(tmp_path):
    with pytest.warns(DeprecationWarning):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "w.pt"))
    with pytest.raises(ModelError, match="a TorchScript program"):
        load_state(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["zip", "old", "safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.05, 0.5, 0.9, 0.999])
def test_truncated_weights_are_said_to_be_damaged(tmp_path, name, share):
    path = tmp_path / "w.pth"
    state = {f"layer{number}.weight": torch.full((64, 64), float(number)) for number in range(8)}
    if name == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=name == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"damaged or incomplete(.|\n)*fetch the file again"):
        load_state(path)


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html>not found</html>", b"\x80\x04garbage", bytes(1000), pickle.dumps({"a": 1})]
)
def test_what_is_no_weights_at_all(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError, match="damaged or incomplete"):
        load_state(tmp_path / "w.pth")


def test_an_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "weights are elsewhere")
    with pytest.raises(ModelError, match="damaged or incomplete"):
        load_state(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "content", [{}, [1, 2], {"params": {"weight": 3}}, {"a": torch.ones(1), "b": "text"}, {1: torch.ones(1)}]
)
def test_what_is_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="holds no state dict"):
        load_state(tmp_path / "w.pth")


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path):
    for path in (tmp_path / "w.pth", tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            load_state(path)

import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from tapemill.core.errors import ModelError
from tapemill.models.weights_io import load_state_dict

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
    same(load_state_dict(tmp_path / "w.pth"))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_safetensors_are_known_by_what_they_are_not_by_their_name(tmp_path, name):
    save_file(STATE, tmp_path / name)
    same(load_state_dict(tmp_path / name))


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
        load_state_dict(path)
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
        load_state_dict(tmp_path / "w.pth")


def test_torchscript_is_code(tmp_path):
    with pytest.warns(DeprecationWarning):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "w.pt"))
    with pytest.raises(ModelError, match="a TorchScript program"):
        load_state_dict(tmp_path / "w.pt")


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
        load_state_dict(path)


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html><html>not found</html>", b"\x80\x04garbage", bytes(1000), pickle.dumps({"a": 1})]
)
def test_what_is_no_weights_at_all(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError, match="damaged or incomplete"):
        load_state_dict(tmp_path / "w.pth")


def test_an_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "weights are elsewhere")
    with pytest.raises(ModelError, match="damaged or incomplete"):
        load_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "content", [{}, [1, 2], {"params": {"weight": 3}}, {"a": torch.ones(1), "b": "text"}, {1: torch.ones(1)}]
)
def test_what_is_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="holds no state dict"):
        load_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("wrappers", [1, 2, 5])
def test_a_file_that_holds_itself_ends_with_a_message(tmp_path, wrappers):
    tables = [{} for _ in range(wrappers)]
    for number, table in enumerate(tables):
        table["params"] = tables[(number + 1) % wrappers]
    torch.save(tables[0], tmp_path / "w.pth")
    with pytest.raises(ModelError, match="without end"):
        load_state_dict(tmp_path / "w.pth")


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path):
    for path in (tmp_path / "w.pth", tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            load_state_dict(path)


def entry(archive, name, data, **kind):
    archive.writestr(zipfile.ZipInfo(name), data, **kind)


def test_an_archive_that_unpacks_to_more_than_it_is(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        entry(archive, "w/data.pkl", bytes(300 << 20), compress_type=zipfile.ZIP_DEFLATED)
        entry(archive, "w/version", b"3\n")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match="parts of it are compressed"):
        load_state_dict(path)


def test_parts_of_an_archive_that_share_their_bytes(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        entry(archive, "w/data.pkl", bytes(1 << 20))
        for number in range(200):
            copy = zipfile.ZipInfo(f"w/data/{number}")
            first = archive.filelist[0]
            copy.header_offset, copy.CRC = first.header_offset, first.CRC
            copy.file_size = copy.compress_size = first.file_size
            archive.filelist.append(copy)
    with pytest.raises(ModelError, match="impossible sizes"):
        load_state_dict(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_shows_one_number_a_billion_times(tmp_path, zipped):
    shown = torch.zeros(1).expand(1 << 20, 1 << 20)
    torch.save({"weight": shown}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="'weight' is larger than the file"):
        load_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("key", ["body.999999999.weight", "body.20000.0.bias", "1" * 5000])
def test_a_layer_with_a_number_that_no_layer_has(tmp_path, key):
    save_file(STATE | {key: torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="a number that no layer has"):
        load_state_dict(tmp_path / "w.safetensors")


HEADER = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'


@pytest.mark.parametrize(
    "data",
    [
        (2**63).to_bytes(8, "little") + HEADER + bytes(8),
        (2**40).to_bytes(8, "little") + HEADER + bytes(8),
        len(HEADER).to_bytes(8, "little") + HEADER,
        len(HEADER).to_bytes(8, "little") + HEADER.replace(b"[0,8]", b"[0,9999999]") + bytes(8),
        len(HEADER).to_bytes(8, "little") + HEADER.replace(b"[2]", b"[4294967296,4294967296]") + bytes(8),
        len(HEADER).to_bytes(8, "little") + HEADER.replace(b"F32", b"XYZ") + bytes(8),
        (100_000).to_bytes(8, "little") + b'{"a":' * 20_000,
        (8).to_bytes(8, "little") + b'{"\xff\xff": ',
    ],
)
def test_headers_of_safetensors_that_cannot_be(tmp_path, data):
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"damaged or incomplete(.|\n)*w\.safetensors"):
        load_state_dict(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "content", [b"\x80\x02]" + b"(" * 100_000 + b"l." * 3, b"\x80\x02\x8a\xff.", b"\x80\x02U\xffa."]
)
def test_pickles_that_are_no_pickles(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError):
        load_state_dict(tmp_path / "w.pth")


def test_a_pickle_that_asks_for_more_memory_than_there_is(tmp_path):
    class Large:
        def __reduce__(self):
            return bytearray, (1 << 50,)

    torch.save({"a": Large()}, tmp_path / "w.pth")
    with pytest.raises(ModelError):
        load_state_dict(tmp_path / "w.pth")

import gzip
import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from tapemill.core.errors import ModelError
from tapemill.enhance.networks.inspect_weights import inspect_weights
from tapemill.models import NETWORKS, Description, fetch_models, find_model, read_lock
from tapemill.models.torchvision_shim import make_importable
from tests.support.project import ROOT

KEYS = ROOT.parent / "shared" / "vrt" / "keys"


def compact(scale, channels=3):
    make_importable()
    from spandrel.architectures.Compact import Compact

    return Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=scale).state_dict()


def esrgan(scale):
    make_importable()
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=4, num_blocks=1, scale=scale).state_dict()


def save(state, path, wrapper=None):
    if path.suffix == ".safetensors":
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    else:
        torch.save({wrapper: state} if wrapper else state, path)
    return path


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize(("name", "wrapper"), [("n.pth", "params"), ("n.pth", "params_ema"), ("n.safetensors", None)])
def test_a_compact_network_is_known(tmp_path, scale, name, wrapper):
    assert inspect_weights(save(compact(scale), tmp_path / name, wrapper)) == Description(
        "frame", scale, "RealESRGAN Compact"
    )


@pytest.mark.parametrize(("name", "wrapper"), [("n.pth", "params_ema"), ("n.pth", None), ("n.safetensors", None)])
def test_an_esrgan_network_is_known(tmp_path, name, wrapper):
    assert inspect_weights(save(esrgan(4), tmp_path / name, wrapper)) == Description("frame", 4, "ESRGAN")


@pytest.mark.parametrize("path", sorted(KEYS.glob("*.json.gz")), ids=lambda path: path.name.partition(".")[0])
def test_every_official_vrt_checkpoint_is_known(tmp_path, path):
    with gzip.open(path, "rt") as stream:
        entries = json.load(stream)["entries"]
    state = {entry["name"]: torch.zeros(entry["shape"], dtype=getattr(torch, entry["dtype"])) for entry in entries}
    file = save(state, tmp_path / "n.pth", "params")
    if "_videofi_" in path.name:
        with pytest.raises(ModelError, match="returns 1 frame for 4"):
            inspect_weights(file)
    else:
        scale = 4 if "_videosr_" in path.name else 1
        assert inspect_weights(file) == Description("vrt", scale, "VRT")


def test_a_scale_that_no_chain_takes_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"upscales by 3; 1, 2 and 4 are possible"):
        inspect_weights(save(compact(3), tmp_path / "n.pth"))


def test_a_network_for_grey_pictures_is_refused(tmp_path):
    with pytest.raises(ModelError, match="1 channels in and 1 out"):
        inspect_weights(save(compact(2, channels=1), tmp_path / "n.pth"))


def test_an_unknown_architecture_is_refused(tmp_path):
    path = save(torch.nn.Sequential(torch.nn.Linear(3, 3)).state_dict(), tmp_path / "n.pth")
    with pytest.raises(ModelError, match=r"unknown architecture; its layers begin with 0\.weight") as error:
        inspect_weights(path)
    assert error.value.file == path
    assert {"VRT", "ESRGAN", "SwinIR"} <= set(error.value.remedy.replace(",", "").split())


def test_weights_that_do_not_fit_what_they_look_like_are_refused(tmp_path):
    state = compact(2)
    state.pop("body.2.weight")
    with pytest.raises(ModelError, match="do not fit the detected architecture"):
        inspect_weights(save(state, tmp_path / "n.pth"))


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "models.lock"
    path.write_text("# a comment\n")
    return path


def test_a_file_that_was_dropped_in_is_pinned_with_what_is_in_it(tmp_path, lock):
    path = save(compact(2), tmp_path / "mine.pth", "params")
    assert find_model(str(path), {"frame"}, lock=lock).scale is None
    fetch_models(names=[str(path)], kinds=NETWORKS, lock=lock, describe=inspect_weights)
    model = find_model(str(path), {"frame"}, lock=lock)
    assert (model.kind, model.scale) == ("frame", 2)
    assert read_lock(lock)[str(path)]["size_bytes"] == path.stat().st_size


def test_a_file_that_cannot_be_used_is_not_pinned_and_stays(tmp_path, lock):
    path = tmp_path / "mine.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(ModelError, match="holds code"):
        fetch_models(names=[str(path)], kinds=NETWORKS, lock=lock, describe=inspect_weights)
    assert path.exists()
    assert read_lock(lock) == {}


def run(program):
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT / "scripts")}
    )
    assert done.returncode == 0, done.stderr


def test_torchvision_can_be_imported_also_after_it_failed_to():
    run(
        "from contextlib import suppress\n"
        "with suppress(RuntimeError): import torchvision\n"
        "from tapemill.models import torchvision_shim as ours\n"
        "for _ in range(2): ours.make_importable()\n"
        "import torchvision, spandrel\n"
        "ours.make_importable()\n"
        "assert len(ours._LIBRARIES) <= 1"
    )


def test_operators_that_are_declared_already_are_left_alone():
    # As where its compiled part fits and has been loaded. Declaring an operator twice is an error.
    run(
        "import torch\n"
        "from tapemill.models import torchvision_shim as ours\n"
        "library = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "for schema in ours.SCHEMAS.values(): library.define(schema)\n"
        "ours.make_importable()\n"
        "assert not ours._LIBRARIES\n"
        "import torchvision"
    )

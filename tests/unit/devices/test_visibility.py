import subprocess
import sys

import pytest

from tapemill.core.errors import LaneError
from tapemill.devices import visibility
from tapemill.devices.enumerate import Gpu
from tests.support.fakes import torch_driver
from tests.support.project import ROOT

XPU = {"ZE_ENABLE_PCI_ID_DEVICE_ORDER": "1"}
CUDA = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
GPUS = [
    Gpu("cuda", number, "Card", f"8932f93{number}-d72c-4106-8000-00000000000{number}", "", 1, "", "")
    for number in range(3)
]


@pytest.mark.parametrize(
    ("kind", "number", "before", "changes"),
    [
        ("xpu", 1, {}, {"ZE_AFFINITY_MASK": "1", **XPU}),
        ("cuda", 0, {}, {"CUDA_VISIBLE_DEVICES": "0", **CUDA}),
        ("hip", 2, {}, {"HIP_VISIBLE_DEVICES": "2"}),
        ("cpu", 1, {"ZE_AFFINITY_MASK": "", "CUDA_VISIBLE_DEVICES": "7"}, {}),
        # Narrowed to the lane's GPU.
        ("xpu", 1, {"ZE_AFFINITY_MASK": "0,1"}, {"ZE_AFFINITY_MASK": "1", **XPU}),
        ("xpu", 1, {"ZE_AFFINITY_MASK": "1.0"}, {"ZE_AFFINITY_MASK": "1", **XPU}),
        ("cuda", 2, {"CUDA_VISIBLE_DEVICES": "2, 3"}, {"CUDA_VISIBLE_DEVICES": "2", **CUDA}),
        ("cuda", 1, {"CUDA_VISIBLE_DEVICES": "GPU-8932f931-d72c"}, {"CUDA_VISIBLE_DEVICES": "1", **CUDA}),
        # Kept: the job has no lane, and the mask says it all. An order somebody has set goes with his numbers.
        ("xpu", None, {"ZE_AFFINITY_MASK": "1"}, XPU),
        ("xpu", None, {"ZE_AFFINITY_MASK": "1.0,1.1"}, XPU),
        ("cuda", None, {"CUDA_VISIBLE_DEVICES": "GPU-8932f931"}, CUDA),
        ("cuda", None, {"CUDA_VISIBLE_DEVICES": "MIG-8932f931-d72c-4106-8000-000000000001"}, CUDA),
        ("cuda", None, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, {}),
        # No mask and no lane: nothing to hide; the look at the GPU decides later.
        ("cuda", None, {}, CUDA),
        # Another vendor's mask is none of this lane's business.
        ("xpu", 1, {"CUDA_VISIBLE_DEVICES": "0"}, {"ZE_AFFINITY_MASK": "1", **XPU}),
        # HIP takes NVIDIA's variable for its own, and counts within what ROCr left.
        ("hip", 1, {"CUDA_VISIBLE_DEVICES": "0,1"}, {"HIP_VISIBLE_DEVICES": "1"}),
        ("hip", 3, {"ROCR_VISIBLE_DEVICES": "2,3"}, {"ROCR_VISIBLE_DEVICES": "3", "HIP_VISIBLE_DEVICES": "0"}),
        (
            "hip",
            3,
            {"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "1"},
            {"ROCR_VISIBLE_DEVICES": "3", "HIP_VISIBLE_DEVICES": "0"},
        ),
        ("hip", None, {"ROCR_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "1"}, {"HIP_VISIBLE_DEVICES": "0"}),
    ],
)
def test_a_lane_gets_its_gpu(kind, number, before, changes):
    assert visibility.mask_for(kind, number, before, GPUS) == changes


@pytest.mark.parametrize(
    ("kind", "number", "before", "message"),
    [
        ("xpu", 1, {"ZE_AFFINITY_MASK": "0"}, r"lane gpu1 is xpu GPU 1, but ZE_AFFINITY_MASK=0 hides this GPU"),
        ("cuda", 0, {"CUDA_VISIBLE_DEVICES": "2,3"}, r"lane gpu0 .* CUDA_VISIBLE_DEVICES=2,3 hides"),
        # CUDA heeds nothing after -1.
        ("cuda", 1, {"CUDA_VISIBLE_DEVICES": "0,-1,1"}, r"lane gpu1 .* hides this GPU"),
        ("cuda", 0, {"CUDA_VISIBLE_DEVICES": "GPU-8932f931"}, r"lane gpu0 .* hides this GPU"),
        (
            "hip",
            2,
            {"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "1"},
            r"lane gpu2 .*ROCR_VISIBLE_DEVICES=2,3",
        ),
        ("xpu", 0, {"ZE_AFFINITY_MASK": ""}, r"ZE_AFFINITY_MASK= hides every xpu GPU"),
        ("cuda", None, {"CUDA_VISIBLE_DEVICES": " "}, r"CUDA_VISIBLE_DEVICES=  hides every cuda GPU"),
        ("cuda", None, {"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, r"NoDevFiles hides every cuda GPU"),
        ("hip", None, {"ROCR_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "1"}, r"ROCR_VISIBLE_DEVICES=1 hides every"),
        ("xpu", None, {"ZE_AFFINITY_MASK": "0,1"}, r"ZE_AFFINITY_MASK=0,1 leaves 2 xpu GPUs, .* no lane"),
        ("xpu", 0, {"ZE_AFFINITY_MASK": "gpu0"}, r"ZE_AFFINITY_MASK=gpu0 cannot be read"),
        ("cuda", 1, {"CUDA_VISIBLE_DEVICES": "1.0"}, r"CUDA_VISIBLE_DEVICES=1.0 cannot be read"),
        ("cuda", 0, {"CUDA_VISIBLE_DEVICES": "MIG-8932f931"}, r"names a part of a GPU"),
        ("cuda", 0, {"CUDA_VISIBLE_DEVICES": "GPU-8932f93"}, r"3 of the 3 cuda GPUs .* are called GPU-8932f93"),
        ("cuda", 0, {"CUDA_VISIBLE_DEVICES": "GPU-ffff"}, r"0 of the 3 cuda GPUs"),
    ],
)
def test_a_mask_that_cannot_be_is_refused_by_name(kind, number, before, message):
    with pytest.raises(LaneError, match=message) as caught:
        visibility.mask_for(kind, number, before, GPUS)
    assert caught.value.remedy


def test_a_mask_once_set_is_respected_by_the_process_it_was_set_for():
    """A worker pins itself again although it was born masked."""
    for kind, before in (("xpu", {}), ("cuda", {}), ("hip", {}), ("hip", {"ROCR_VISIBLE_DEVICES": "2,1"})):
        born = before | visibility.mask_for(kind, 1, before)
        assert born | visibility.mask_for(kind, 1, born) == born


def test_pinning_changes_the_environment_it_is_given():
    environ = {"HOME": "/"}
    visibility.bind_process("xpu", 1, environ, {})
    assert environ == {"HOME": "/", "ZE_AFFINITY_MASK": "1", **XPU}


def pinned_in_a_new_process(kind, imported, folder):
    code = f"import sys; sys.path[:0] = {[str(ROOT / 'scripts'), str(folder)]!r}\n{imported}\n"
    code += f"from tapemill.devices import visibility as masks; masks.bind_process({kind!r}, 1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.parametrize("kind", ["cpu", "xpu"])
def test_a_library_that_talks_to_gpus_imported_too_early_is_noticed(tmp_path, kind):
    torch_driver.install(tmp_path, "xpu", [torch_driver.arc(0), torch_driver.arc(1)])
    told = pinned_in_a_new_process(kind, "import torch.version", tmp_path)
    assert "LaneError: torch was imported before the job was bound to its GPU" in told
    assert pinned_in_a_new_process(kind, "import json", tmp_path) == ""


@pytest.mark.parametrize(
    ("build", "environ", "kind"),
    [
        ("xpu", {"ZE_AFFINITY_MASK": "0", "CUDA_VISIBLE_DEVICES": "0"}, "xpu"),
        ("cuda", {"ZE_AFFINITY_MASK": "0", "CUDA_VISIBLE_DEVICES": "0"}, "cuda"),
        ("hip", {"ROCR_VISIBLE_DEVICES": "0"}, "hip"),
        ("cpu", {"ZE_AFFINITY_MASK": "0", "CUDA_VISIBLE_DEVICES": "0"}, "cpu"),
        ("xpu", {}, "cpu"),
        # What Slurm sets for a job without a GPU.
        ("cuda", {"CUDA_VISIBLE_DEVICES": ""}, "cpu"),
        ("cuda", {"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, "cpu"),
    ],
)
def test_a_mask_and_the_installed_torch_together_tell_the_kind(tmp_path, monkeypatch, build, environ, kind):
    torch_driver.install(tmp_path, build, [])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert visibility.kind_of_environment(environ) == kind
    assert "torch" not in sys.modules

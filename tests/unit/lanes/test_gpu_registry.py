import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapemill.core.errors import LaneError, SetupError
from tapemill.devices import gpu_record, pci, visibility
from tapemill.devices.enumerate import Gpu, enumerate_gpus, uuid_text
from tapemill.lanes import gpu_registry
from tests.support.fakes import torch_driver
from tests.support.project import ROOT

ADDRESSES = ("0000:03:00.0", "0000:07:00.0")
JOB = """
import json, sys
from tapemill.lanes import gpu_registry as GPUs
from tapemill.devices import visibility as masks
kind, number = json.loads(sys.argv[1])
masks.bind_process(kind, number)
print(json.dumps(GPUs.verify_gpu(kind, number).to_plain()))
"""
OPEN = """
import json
from tapemill.lanes.lane import Lane
from tapemill.lanes.gpu_registry import bind_device
device = bind_device(Lane("xpu", 1, warm=True), 1.0)
print(json.dumps([device.name, device.uuid, device.pci_address]))
"""


class Machine:
    """A machine with the GPUs of a test, its runtime folder, and jobs that run there in processes of their own."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self._monkeypatch = monkeypatch
        (folder / "run").mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder / "packages"), str(ROOT / "scripts")]))
        for name in {
            name for masking in visibility.VISIBILITY.values() for name in (*masking.hiding, *masking.ordering)
        }:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("SLURM_JOB_ID", raising=False)
        monkeypatch.syspath_prepend(str(folder / "packages"))
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        monkeypatch.setattr(pci, "SYS", folder / "sys")

    def has(self, kind, *plugged, **known):
        """Put GPUs in, in PCI order."""
        torch_driver.install(self.folder / "packages", kind, list(plugged), **known)

    def job(self, kind, number, **environ):
        """Pin and verify like a job; the GPU, or what it said."""
        done = subprocess.run(
            [sys.executable, "-c", JOB, json.dumps([kind, number])],
            env=os.environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )
        return Gpu.from_plain(json.loads(done.stdout)) if done.returncode == 0 else done.stderr


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


@pytest.fixture
def two_arcs(machine):
    machine.has("xpu", torch_driver.arc(0), torch_driver.arc(1))
    for address in ADDRESSES:
        torch_driver.plug(machine.folder / "sys", address)
    return machine


def test_gpus_are_listed_in_pci_order_whatever_mask_is_in_force(two_arcs, monkeypatch):
    monkeypatch.setenv("ZE_AFFINITY_MASK", "1")
    listed = enumerate_gpus("xpu")
    assert [gpu.uuid for gpu in listed] == [torch_driver.uuid_of(0), torch_driver.uuid_of(1)]
    assert listed[1] == Gpu(
        kind="xpu",
        number=1,
        name="Intel(R) Arc(TM) A770 Graphics",
        uuid=torch_driver.uuid_of(1),
        pci_address=ADDRESSES[1],
        total_bytes=16_225_243_136,
        driver="1.6.32567",
        mask="ZE_AFFINITY_MASK=1 ZE_ENABLE_PCI_ID_DEVICE_ORDER=1",
    )
    assert Gpu.from_plain(json.loads(json.dumps(listed[1].to_plain()))) == listed[1]
    assert enumerate_gpus("cpu") == []


def test_the_mask_that_is_listed_selects_the_gpu(two_arcs):
    for gpu in enumerate_gpus("xpu"):
        environ = dict(part.split("=") for part in gpu.mask.split())
        assert two_arcs.job("xpu", None, **environ).uuid == gpu.uuid


def test_a_job_knows_the_gpu_that_it_works_on(two_arcs):
    gpu_record.record_gpus("xpu")
    done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["Intel(R) Arc(TM) A770 Graphics", torch_driver.uuid_of(1), ADDRESSES[1]]


def test_integrated_graphics_take_a_number_but_are_no_gpu(machine):
    """The mask counts them, torch does not show them: GPU 0 of torch's list would be the wrong number."""
    graphics = torch_driver.arc(0, name="Intel(R) UHD Graphics 770", integrated=True)
    machine.has("xpu", graphics, torch_driver.arc(1), torch_driver.arc(2))
    for address in ("0000:00:02.0", *ADDRESSES):
        torch_driver.plug(machine.folder / "sys", address)
    listed = gpu_record.record_gpus("xpu")
    assert [(gpu.number, gpu.uuid, gpu.pci_address) for gpu in listed] == [
        (1, torch_driver.uuid_of(1), ADDRESSES[0]),
        (2, torch_driver.uuid_of(2), ADDRESSES[1]),
    ]
    assert machine.job("xpu", 1).uuid == torch_driver.uuid_of(1)
    assert "this machine has no xpu GPU 0" in machine.job("xpu", 0)


def test_an_address_is_unknown_rather_than_wrong(machine):
    machine.has("xpu", torch_driver.arc(0), torch_driver.arc(1))
    torch_driver.plug(machine.folder / "sys", ADDRESSES[0])
    assert [gpu.pci_address for gpu in enumerate_gpus("xpu")] == ["", ""]
    # One more that the kernel knows and the driver does not: which of the three it is cannot be told.
    for address in (ADDRESSES[1], "0000:0a:00.0"):
        torch_driver.plug(machine.folder / "sys", address)
    assert [(gpu.number, gpu.pci_address) for gpu in enumerate_gpus("xpu")] == [(0, ""), (1, "")]


def test_torch_tells_addresses_of_nvidia_gpus_and_their_numbers_follow_them(machine):
    machine.has("cuda", torch_driver.geforce(0), torch_driver.geforce(1))
    listed = enumerate_gpus("cuda")
    assert [gpu.pci_address for gpu in listed] == ["0000:10:00.0", "0000:11:00.0"]
    assert [gpu.mask for gpu in listed][1] == "CUDA_VISIBLE_DEVICES=1 CUDA_DEVICE_ORDER=PCI_BUS_ID"


def test_only_intel_graphics_with_a_device_file_count(machine):
    torch_driver.plug(machine.folder / "sys", "0000:0b:00.0")
    torch_driver.plug(machine.folder / "sys", "0000:03:00.0", driver="i915")
    torch_driver.plug(machine.folder / "sys", "0000:01:00.0", vendor="0x10de", driver="nvidia")
    torch_driver.plug(machine.folder / "sys", "0000:04:00.0", driver="snd_hda_intel")
    torch_driver.plug(machine.folder / "sys", "0000:05:00.0", node=None)
    assert pci.intel_gpus() == ["0000:03:00.0", "0000:0b:00.0"]


def test_a_render_node_is_named_by_where_the_gpu_sits(machine, monkeypatch):
    torch_driver.plug(machine.folder / "sys", ADDRESSES[0], node="renderD129")
    monkeypatch.setattr(pci, "DEV", machine.folder / "dev")
    assert pci.render_node(ADDRESSES[0]) == machine.folder / "dev" / "dri" / "renderD129"
    stable = machine.folder / "dev" / "dri" / "by-path" / f"pci-{ADDRESSES[0]}-render"
    stable.parent.mkdir(parents=True)
    stable.touch()
    assert pci.render_node(ADDRESSES[0]) == stable


@pytest.mark.parametrize("kind", ["xpu", "cuda", "hip"])
def test_a_job_is_on_the_gpu_of_its_lane(machine, kind):
    one = torch_driver.arc if kind == "xpu" else torch_driver.geforce
    machine.has(kind, one(0), one(1), one(2))
    recorded = gpu_record.record_gpus(kind)
    for number in (0, 1, 2):
        assert machine.job(kind, number) == recorded[number]


def test_a_job_on_the_wrong_gpu_stops_and_names_both(two_arcs):
    gpu_record.record_gpus("xpu")
    # The GPUs change places, as after moving one to another slot while the list stays.
    two_arcs.has("xpu", torch_driver.arc(1, name="Arc B580"), torch_driver.arc(0))
    told = two_arcs.job("xpu", 0)
    assert "LaneError: the job is on the wrong GPU: Arc B580, " + torch_driver.uuid_of(1) in told
    assert f"instead of Intel(R) Arc(TM) A770 Graphics, {torch_driver.uuid_of(0)}" in told
    assert "(ZE_AFFINITY_MASK=0 ZE_ENABLE_PCI_ID_DEVICE_ORDER=1)" in told
    gpu_record.record_gpus("xpu")
    assert two_arcs.job("xpu", 0).uuid == torch_driver.uuid_of(1)


def test_under_a_cluster_s_mask_the_gpu_has_to_be_one_of_the_machine(two_arcs):
    assert two_arcs.job("xpu", None, ZE_AFFINITY_MASK="1").uuid == torch_driver.uuid_of(1)
    recorded = gpu_record.record_gpus("xpu")
    assert two_arcs.job("xpu", None, ZE_AFFINITY_MASK="1") == recorded[1]
    two_arcs.has("xpu", torch_driver.arc(0), torch_driver.arc(7))
    assert "wrong GPU" in two_arcs.job("xpu", None, ZE_AFFINITY_MASK="1")


def test_a_job_without_lane_and_mask_is_refused_where_there_is_a_choice(two_arcs):
    assert "a job computes on one GPU, but this one sees 2 of kind xpu" in two_arcs.job("xpu", None)
    two_arcs.has("xpu", torch_driver.arc(0))
    assert two_arcs.job("xpu", None).uuid == torch_driver.uuid_of(0)


def test_a_mask_that_leaves_nothing_is_shown(two_arcs):
    told = two_arcs.job("xpu", 5)
    assert "sees 0 of kind xpu (ZE_AFFINITY_MASK=5 ZE_ENABLE_PCI_ID_DEVICE_ORDER=1)" in told


def test_numbers_are_those_a_mask_leaves_or_all(two_arcs, monkeypatch):
    assert gpu_registry.gpu_numbers("xpu") == [0, 1]
    assert gpu_record.recorded_gpus("xpu") is not None
    monkeypatch.setenv("ZE_AFFINITY_MASK", "1")
    assert gpu_registry.gpu_numbers("xpu") == [1]
    assert gpu_registry.gpu_numbers("cpu") == []


def test_a_mask_of_uuids_is_understood_through_the_gpus(machine, monkeypatch):
    machine.has("cuda", torch_driver.geforce(0), torch_driver.geforce(1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"GPU-{torch_driver.uuid_of(1)[:21]}")
    assert gpu_registry.gpu_numbers("cuda") == [1]
    assert machine.job("cuda", 1).uuid == torch_driver.uuid_of(1)


def test_the_record_holds_until_the_machine_or_torch_is_another(two_arcs, monkeypatch):
    assert gpu_record.recorded_gpus("xpu") is None
    listed = gpu_record.record_gpus("xpu")
    assert gpu_record.recorded_gpus("xpu") == listed
    folder = two_arcs.folder / "run" / "tapemill"
    assert [path.name for path in folder.iterdir()] == ["cards-xpu.json"]
    # Inside an allocation other GPUs may have the same numbers.
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert gpu_record.recorded_gpus("xpu") is None
    monkeypatch.delenv("SLURM_JOB_ID")
    two_arcs.has("xpu", torch_driver.arc(0), version="2.14.0")
    assert gpu_record.recorded_gpus("xpu") is None
    two_arcs.has("xpu", torch_driver.arc(0))
    assert gpu_record.recorded_gpus("xpu") == listed
    monkeypatch.setattr(gpu_record, "BOOT_ID", two_arcs.folder / "boot_id")
    (two_arcs.folder / "boot_id").write_text("another\n")
    assert gpu_record.recorded_gpus("xpu") is None
    (folder / "cards-xpu.json").write_text('{"boot"')
    assert gpu_record.recorded_gpus("xpu") is None


def test_lanes_that_have_a_gpu_are_recorded(two_arcs):
    gpu_registry.check_lanes("xpu", [0, 1])
    assert [gpu.number for gpu in gpu_record.recorded_gpus("xpu")] == [0, 1]
    gpu_registry.check_lanes("cpu", [0, 1, 2])


@pytest.mark.parametrize(
    ("built", "plugged", "message", "remedy"),
    [
        (
            "xpu",
            [torch_driver.arc(0)],
            "the profile declares gpu1, but this machine has 1 xpu GPU (0: Intel(R) Arc(TM) A770 Graphics)",
            "leave out missing GPUs with `--resources gpu1=0`, or run on the CPU with `--profile profiles/cpu`",
        ),
        (
            "xpu",
            [],
            "the profile declares gpu0 and gpu1, but this machine has no xpu GPU",
            "run on the CPU with `--profile profiles/cpu`",
        ),
        (
            "cpu",
            [],
            "the profile declares xpu lanes, but the installed torch 2.13.0+cpu cannot use them",
            "install torch for these GPUs with `make setup DEVICE=xpu` (README, Set-up for GPUs), or run on the CPU",
        ),
    ],
)
def test_a_lane_without_a_gpu_is_named_with_what_to_do(machine, built, plugged, message, remedy):
    machine.has(built, *plugged)
    with pytest.raises(LaneError) as caught:
        gpu_registry.check_lanes("xpu", [0, 1])
    assert caught.value.what == message
    assert caught.value.remedy.startswith(remedy)


def test_a_driver_that_fails_is_quoted(machine):
    machine.has("xpu", torch_driver.arc(0), says="zeInit: no permission for /dev/dri/renderD128")
    with pytest.raises(SetupError, match="could not list the xpu GPUs") as caught:
        enumerate_gpus("xpu")
    assert caught.value.stderr_tail[-1] == "zeInit: no permission for /dev/dri/renderD128"


def test_a_driver_that_hangs_is_left(machine, monkeypatch):
    from tapemill.devices import enumerate

    machine.has("xpu", torch_driver.arc(0))
    (machine.folder / "packages" / "torch" / "__init__.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(enumerate, "LIST_TIMEOUT_S", 1.0)
    with pytest.raises(SetupError, match="did not list the xpu GPUs within 1 s"):
        enumerate_gpus("xpu")


def test_a_program_of_the_working_folder_cannot_stand_in_for_torch(two_arcs, monkeypatch):
    (two_arcs.folder / "here").mkdir()
    (two_arcs.folder / "here" / "torch.py").write_text("raise SystemExit('wrong torch')")
    monkeypatch.chdir(two_arcs.folder / "here")
    assert len(enumerate_gpus("xpu")) == 2


@pytest.mark.parametrize(
    "value",
    [
        "8680a056-0800-0000-0300-000000000000",
        "GPU-8680A056-0800-0000-0300-000000000000",
        "8680a05608000000" + "0300000000000000",
        bytes.fromhex("8680a056080000000300000000000000"),
        SimpleNamespace(bytes=[0x86, 0x80, 0xA0, 0x56, 8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
        SimpleNamespace(bytes=[-0x7A, -0x80, -0x60, 0x56, 8, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_uuid_is_the_same_in_every_spelling(value):
    assert uuid_text(value) == "8680a056-0800-0000-0300-000000000000"


def test_a_gpu_without_uuid_is_told_by_its_place(machine):
    machine.has("hip", torch_driver.geforce(0, uuid=""), torch_driver.geforce(1, uuid=""))
    recorded = gpu_record.record_gpus("hip")
    assert machine.job("hip", 1) == recorded[1]
    # Two GPUs of which nothing is known are not the same.
    unknown = replace(recorded[0], pci_address="")
    Path(machine.folder / "run" / "tapemill" / "cards-hip.json").write_text(
        json.dumps({**gpu_record._validity(), "cards": [unknown.to_plain()]})
    )
    assert "wrong GPU" in machine.job("hip", 0)

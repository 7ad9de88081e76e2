"""What the doctor says of GPUs that are there and not used, and of profiles for GPUs; real GPUs are test_gpu's."""

import os

import pytest

from tapemill.devices import ipex, pci
from tapemill.devices.torch_build import Build
from tapemill.doctor import gpus
from tests.support.fakes import torch_driver

INTEL = "0000:03:00.0"
AMD = "0000:0a:00.0"


def built_for(monkeypatch, *kinds):
    monkeypatch.setattr(gpus, "torch_build", lambda: Build("2.13.0+test", kinds))


def test_gpus_that_this_torch_does_not_use_are_named_with_what_would(patient, monkeypatch, tmp_path):
    torch_driver.plug(tmp_path / "sys", INTEL)
    torch_driver.plug(tmp_path / "sys", AMD, vendor="0x1002", driver="amdgpu", node="renderD129")
    monkeypatch.setattr(pci, "SYS", tmp_path / "sys")
    (tmp_path / "nvidia" / "0000:10:00.0").mkdir(parents=True)
    monkeypatch.setattr(gpus, "NVIDIA", tmp_path / "nvidia")
    built_for(monkeypatch)
    found = {finding.title: finding for finding in patient.found("check_gpus")}
    for maker, kind in (("Intel", "xpu"), ("NVIDIA", "cuda"), ("AMD", "rocm")):
        finding = found[f"{maker} GPUs that this torch does not use: 1"]
        assert finding.level == "ok"
        assert f"make setup DEVICE={kind}" in finding.facts[0][1]


@pytest.mark.parametrize(
    ("version", "level", "title"),
    [("2.8.0", "ok", "2.8.0 is used on: xpu, cpu"), ("2.7.0", "warning", "2.7.0 does not belong to torch 2.8.0+cpu")],
)
def test_intels_extension_is_named(patient, monkeypatch, version, level, title):
    monkeypatch.setattr(ipex, "installed_versions", lambda: ("2.8.0+cpu", version))
    (found,) = [each for each in patient.found("check_torch") if "intel_extension" in each.title]
    assert (found.level, title in found.title) == (level, True)


def test_a_gpu_that_the_user_may_not_use_is_a_warning(patient, monkeypatch, tmp_path):
    torch_driver.plug(tmp_path / "sys", INTEL)
    (tmp_path / "dev" / "dri").mkdir(parents=True)
    node = tmp_path / "dev" / "dri" / "renderD128"
    node.touch()
    monkeypatch.setattr(pci, "SYS", tmp_path / "sys")
    monkeypatch.setattr(pci, "DEV", tmp_path / "dev")
    built_for(monkeypatch)
    assert not patient.found("check_gpus", level="warning")
    # Root may use everything: the refusal is put where the kernel would speak.
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(node) and real(path, mode))
    hint = patient.only("check_gpus", level="warning")
    assert "may not use" in hint.title
    assert "`render` and `video`" in hint.remedy
    assert hint.facts == [("device file", str(node))]


def profile(patient, text):
    patient.path("own").mkdir(exist_ok=True)
    patient.path("own/config.yaml").write_text(text)
    return "own"


def test_a_profile_without_gpus_computes_on_the_processor(patient):
    (found,) = patient.found("check_lanes", profile="profiles/cpu")
    assert (found.level, found.title) == ("ok", "the profile computes on the processor")
    lanes = profile(patient, "resources: {gpu0: 2, gpu1: 0}\n")
    assert patient.found("check_lanes", profile=lanes)[0].title == "the profile computes on the processor: gpu0"
    assert patient.found("check_lanes") == []


def test_a_profile_that_asks_for_gpus_and_names_none_or_an_unknown_kind_is_an_error(patient):
    none = patient.only("check_lanes", profile=profile(patient, "scheduler-lanes-device: xpu\n"))
    assert none.title == "the profile asks for GPUs of kind xpu and declares none"
    assert "gpu0: 2" in none.remedy
    unknown = patient.only("check_lanes", profile=profile(patient, "scheduler-lanes-device: gpu\n"))
    assert "not a known kind of GPU" in unknown.title
    assert unknown.remedy == "use one of cpu, xpu, cuda, hip"


def test_amd_gpus_need_the_compute_device_file_as_well(patient, monkeypatch, tmp_path):
    torch_driver.plug(tmp_path / "sys", AMD, vendor="0x1002", driver="amdgpu")
    (tmp_path / "dev").mkdir()
    node = tmp_path / "dev" / "kfd"
    node.touch()
    monkeypatch.setattr(pci, "SYS", tmp_path / "sys")
    monkeypatch.setattr(pci, "DEV", tmp_path / "dev")
    built_for(monkeypatch)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(node) and real(path, mode))
    assert patient.only("check_gpus", level="warning").facts == [("device file", str(node))]

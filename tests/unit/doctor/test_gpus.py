"""What the doctor says of cards that are there and not used, and of profiles for cards; real cards are test_gpu's."""

import os

from tapemill.devices import pci
from tapemill.devices.torch_build import Build
from tapemill.doctor import gpus
from tests.support.fakes import torch_driver

INTEL = "0000:03:00.0"


def built_for(monkeypatch, *kinds):
    monkeypatch.setattr(gpus, "torch_build", lambda: Build("2.13.0+test", kinds))


def test_cards_that_this_torch_does_not_use_are_named_with_what_would(patient, monkeypatch, tmp_path):
    torch_driver.plug(tmp_path / "sys", INTEL)
    monkeypatch.setattr(pci, "SYS", tmp_path / "sys")
    (tmp_path / "nvidia" / "0000:10:00.0").mkdir(parents=True)
    monkeypatch.setattr(gpus, "NVIDIA", tmp_path / "nvidia")
    built_for(monkeypatch)
    found = {finding.title: finding for finding in patient.found("check_cards")}
    for maker, kind in (("Intel", "xpu"), ("NVIDIA", "cuda")):
        finding = found[f"graphics of {maker} that this torch does not use: 1"]
        assert finding.level == "ok"
        assert f"make setup DEVICE={kind}" in finding.facts[0][1]


def test_a_card_that_the_user_may_not_use_is_a_warning(patient, monkeypatch, tmp_path):
    torch_driver.plug(tmp_path / "sys", INTEL)
    (tmp_path / "dev" / "dri").mkdir(parents=True)
    node = tmp_path / "dev" / "dri" / "renderD128"
    node.touch()
    monkeypatch.setattr(pci, "SYS", tmp_path / "sys")
    monkeypatch.setattr(pci, "DEV", tmp_path / "dev")
    built_for(monkeypatch)
    assert not patient.found("check_cards", level="warning")
    # Root may use everything: the refusal is put where the kernel would speak.
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(node) and real(path, mode))
    hint = patient.only("check_cards", level="warning")
    assert "may not use" in hint.title
    assert "`render` and `video`" in hint.remedy
    assert hint.facts == [("device file", str(node))]


def profile(patient, text):
    patient.path("own").mkdir(exist_ok=True)
    patient.path("own/config.yaml").write_text(text)
    return "own"


def test_a_profile_without_cards_computes_on_the_processor(patient):
    (found,) = patient.found("check_lanes", profile="profiles/cpu")
    assert (found.level, found.title) == ("ok", "the profile computes on the processor")
    lanes = profile(patient, "resources: {gpu0: 2, gpu1: 0}\n")
    assert patient.found("check_lanes", profile=lanes)[0].title == "the profile computes on the processor: gpu0"
    assert patient.found("check_lanes") == []


def test_a_profile_that_asks_for_cards_and_names_none_or_an_unknown_kind_is_an_error(patient):
    none = patient.only("check_lanes", profile=profile(patient, "scheduler-lanes-device: xpu\n"))
    assert none.title == "the profile asks for cards of kind xpu and declares none"
    assert "gpu0: 2" in none.remedy
    unknown = patient.only("check_lanes", profile=profile(patient, "scheduler-lanes-device: gpu\n"))
    assert "no known kind of card" in unknown.title
    assert unknown.remedy == "take one of cpu, xpu, cuda, hip"

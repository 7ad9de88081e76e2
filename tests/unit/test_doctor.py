import os
import subprocess
import sys

import pytest

import drivers
from running import ROOT
from tapemill.lanes import masks


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Environment of a machine whose packages and runtime folder are the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "packages"), str(ROOT / "scripts")]))
    monkeypatch.setenv("COLUMNS", "40")
    for name in {name for masking in masks.MASKINGS.values() for name in masking.hiding}:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def doctor(*arguments):
    command = [sys.executable, "-m", "tapemill", "doctor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_every_card_is_shown_with_what_selects_it_and_recorded(machine):
    drivers.install(machine / "packages", "cuda", [drivers.geforce(0, name="[bold]RTX :smile:"), drivers.geforce(1)])
    code, told = doctor()
    assert code == 0
    lines = [line.strip() for line in told.splitlines()]
    at = lines.index("ok     cuda card 0: [bold]RTX :smile:")
    assert lines[at + 1 : at + 6] == [
        f"UUID          {drivers.uuid_of(0)}",
        "PCI address   0000:10:00.0",
        "memory        12.0 GiB",
        lines[at + 4],
        "mask          CUDA_VISIBLE_DEVICES=0 CUDA_DEVICE_ORDER=PCI_BUS_ID",
    ]
    assert lines[at + 4].startswith("driver        ")
    assert "mask          CUDA_VISIBLE_DEVICES=1 CUDA_DEVICE_ORDER=PCI_BUS_ID" in lines
    assert "`--profile profiles/cuda`, where `resources` has to say gpu0: 2 gpu1: 2" in told
    assert (machine / "run" / "tapemill" / "cards-cuda.json").exists()


def test_no_card_is_not_broken_and_the_cpu_is_named(machine):
    drivers.install(machine / "packages", "xpu", [])
    for arguments in ((), ("--kind", "xpu")):
        code, told = doctor(*arguments)
        assert code == 0
        assert "no card that this torch could use; the CPU does the same work: `--profile profiles/cpu`" in told


def test_a_kind_that_torch_cannot_use_is_broken_if_it_is_asked_for(machine):
    drivers.install(machine / "packages", "cpu", [])
    assert doctor()[0] == 0
    code, told = doctor("--kind", "xpu")
    assert code == 1
    assert "BROKEN this torch cannot use xpu cards" in told
    assert "make setup DEVICE=xpu" in told


def test_a_driver_that_fails_is_broken_and_quoted(machine):
    drivers.install(machine / "packages", "xpu", [drivers.arc(0)], says="no permission for the device")
    code, told = doctor()
    assert code == 1
    assert "BROKEN torch could not list the xpu cards" in told
    assert "no permission for the device" in told
    assert "what to do: install or repair the card's driver" in told


def test_cards_that_cannot_be_told_apart_are_pointed_out(machine):
    same = drivers.uuid_of(0)
    drivers.install(machine / "packages", "cuda", [drivers.geforce(0), drivers.geforce(1, uuid=same)])
    assert "note   these cuda cards have the same UUID" in doctor()[1]


def test_without_torch_nothing_runs(machine):
    code = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
    code += "from tapemill.doctor import Asked, examine\nprint([f.broken for f in examine(Asked(None))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[True")


def test_help_names_the_commands():
    done = subprocess.run([sys.executable, "-m", "tapemill", "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in done.stdout

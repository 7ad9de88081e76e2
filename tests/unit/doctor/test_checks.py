import json
import os
import subprocess
import sys

import pytest

from tapemill.core.errors import ConfigError
from tapemill.devices import visibility
from tapemill.doctor import checks
from tapemill.doctor.findings import CheckOptions, ok
from tests.support.fakes import torch_driver
from tests.support.project import ROOT


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Environment of a machine whose packages and runtime folder are the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "packages"), str(ROOT / "scripts")]))
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    for name in {name for masking in visibility.VISIBILITY.values() for name in masking.hiding}:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def doctor(*arguments):
    """The command in a folder where all else is well: the repository. Nothing is written there."""
    command = [sys.executable, "-m", "tapemill", "doctor", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stderr == ""
    return done.returncode, done.stdout


def of_gpus(*arguments):
    """Findings about GPUs, as the command tells them to programs."""
    code, told = doctor("--json", "--only", "gpus", *arguments)
    found = json.loads(told)["findings"]
    assert {finding["subject"] for finding in found} == {"gpus"}
    return code, found


def test_every_gpu_is_shown_with_what_selects_it_and_recorded(machine):
    torch_driver.install(
        machine / "packages", "cuda", [torch_driver.geforce(0, name="[bold]RTX :smile:"), torch_driver.geforce(1)]
    )
    code, told = doctor("--only", "gpus")
    assert code == 0
    lines = [line.strip() for line in told.splitlines()]
    at = lines.index("ok      cuda GPU 0: [bold]RTX :smile:")
    assert lines[at + 1 : at + 6] == [
        f"UUID          {torch_driver.uuid_of(0)}",
        "PCI address   0000:10:00.0",
        "memory        12.0 GiB",
        lines[at + 4],
        "mask          CUDA_VISIBLE_DEVICES=0 CUDA_DEVICE_ORDER=PCI_BUS_ID",
    ]
    assert lines[at + 4].startswith("driver        ")
    assert "mask          CUDA_VISIBLE_DEVICES=1 CUDA_DEVICE_ORDER=PCI_BUS_ID" in lines
    assert "`--profile profiles/cuda`, where `resources` needs gpu0: 2 gpu1: 2" in told
    assert lines[-1].startswith("no errors found")
    assert (machine / "run" / "tapemill" / "cards-cuda.json").exists()


def test_no_gpu_is_no_error_and_the_cpu_is_named(machine):
    torch_driver.install(machine / "packages", "xpu", [])
    for arguments in ((), ("--kind", "xpu")):
        code, found = of_gpus(*arguments)
        assert code == 0
        title = "no GPU that this torch can use; the CPU does the same work: `--profile profiles/cpu`"
        assert title in [each["title"] for each in found if each["level"] == "ok"]


def test_a_kind_that_torch_cannot_use_is_an_error_if_it_is_asked_for(machine):
    torch_driver.install(machine / "packages", "cpu", [])
    assert of_gpus()[0] == 0
    code, told = doctor("--only", "gpus", "--kind", "xpu")
    assert code == 1
    assert "error   this torch cannot use xpu GPUs" in told
    assert "make setup DEVICE=xpu" in told
    assert told.splitlines()[-1].startswith("1 error")


def test_a_driver_that_fails_is_an_error_and_quoted(machine):
    torch_driver.install(machine / "packages", "xpu", [torch_driver.arc(0)], says="no permission for the device")
    code, told = doctor("--only", "gpus", "--only", "settings")
    assert code == 1
    assert "error   torch could not list the xpu GPUs" in told
    assert "no permission for the device" in told
    assert "what to do: install or repair the GPU's driver" in told


def test_gpus_that_cannot_be_told_apart_are_pointed_out(machine):
    same = torch_driver.uuid_of(0)
    torch_driver.install(machine / "packages", "cuda", [torch_driver.geforce(0), torch_driver.geforce(1, uuid=same)])
    code, told = doctor("--only", "gpus")
    assert code == 0
    assert "warning these cuda GPUs have the same UUID" in told


def test_gpus_that_the_profile_declares_have_to_be_there(machine):
    torch_driver.install(machine / "packages", "xpu", [torch_driver.arc(0)])
    code, found = of_gpus("--profile", "arc2")
    assert code == 1
    (wrong,) = [each for each in found if each["level"] == "error"]
    assert "the profile declares gpu1" in wrong["title"]
    assert "--resources gpu1=0" in wrong["remedy"]
    torch_driver.install(machine / "packages", "xpu", [torch_driver.arc(0), torch_driver.arc(1)])
    code, found = of_gpus("--profile", "arc2")
    assert code == 0
    assert found[-1]["title"] == "the profile's GPUs are there: gpu0, gpu1"


def test_a_profile_for_other_gpus_than_this_torch_is_an_error(machine):
    torch_driver.install(machine / "packages", "cuda", [torch_driver.geforce(0)])
    code, found = of_gpus("--profile", "arc2")
    assert code == 1
    assert any("the profile declares xpu lanes" in each["title"] for each in found if each["level"] == "error")


def test_a_mask_that_hides_all_gpus_is_named(machine, monkeypatch):
    torch_driver.install(machine / "packages", "cuda", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    _, found = of_gpus()
    (hint,) = [each for each in found if each["level"] == "warning"]
    assert ["mask", "CUDA_VISIBLE_DEVICES=7"] in hint["facts"]


def test_a_machine_without_any_package_is_told_all_the_same(machine):
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from tapemill.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT / "scripts"), "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=machine,
    )
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)["findings"]
    titles = [each["title"] for each in told]
    assert any(title.startswith("not installed: av, ") for title in titles)
    assert "torch is not installed" in titles
    assert {each["subject"] for each in told} == {subject for subject, _, _ in checks.CHECKS}
    assert all("make setup" in each["remedy"] for each in told if each["level"] == "error")


def test_the_repository_is_well_and_nothing_is_written_but_the_record_of_gpus(machine):
    before = status()
    code, told = doctor("--profile", "profiles/cpu")
    assert code == 0, told
    assert status() == before
    assert not any(line.startswith("error") for line in told.splitlines())


def status():
    """What git sees of the repository, ignored files included."""
    arguments = ["git", "-C", str(ROOT), "status", "--short", "--ignored", "-unormal", "--", ".", ":!**/__pycache__"]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def test_a_reader_that_has_seen_enough_is_no_trouble(machine):
    command = f"{sys.executable} -m tapemill doctor --only software --only machine | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("ok      Python ")
    assert done.stderr == ""


def test_help_names_the_commands():
    done = subprocess.run([sys.executable, "-m", "tapemill", "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in done.stdout


@pytest.fixture
def put_checks(monkeypatch):
    """Put checks of a test's own in the place of the real ones, in a module that is loaded like theirs."""

    def put(**functions):
        module = type(sys)("tapemill.doctor.of_a_test")
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(checks, "CHECKS", [("gpus", "of_a_test", name) for name in functions])

    return put


def raising(error):
    def check(asked):
        yield ok("begun")
        raise error

    return check


def test_a_check_that_fails_is_a_finding_and_the_next_goes_on(put_checks):
    put_checks(
        config=raising(ConfigError("wrong", file="a.yaml", remedy="mend it")),
        module=raising(ModuleNotFoundError("no", name="torch")),
        library=raising(ImportError("libGL.so.1: cannot open\nmore")),
        disk=raising(PermissionError(13, "Permission denied", "/x/y")),
        fault=raising(ZeroDivisionError("division by zero")),
        last=lambda asked: iter([ok("the end")]),
    )
    found = [finding for _, finding in checks.run_checks(CheckOptions()) if finding.title != "begun"]
    assert [finding.level for finding in found] == ["error"] * 4 + ["warning", "ok"]
    wrong, module, library, disk, exception, _ = found
    assert (wrong.title, wrong.facts, wrong.remedy) == ("wrong", [("file", "a.yaml")], "mend it")
    assert "package torch is not installed" in module.title and "make setup" in module.remedy
    assert "libGL.so.1" in library.title and "make setup" in library.remedy
    assert disk.title.endswith("Permission denied") and disk.facts == [("file", "/x/y")]
    assert "ZeroDivisionError" in exception.title
    assert exception.facts[0][1].startswith("test_checks.py, line ")

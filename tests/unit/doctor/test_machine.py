"""What the doctor says of Python, packages, plugins, limits, memory and the clock."""

import os
import resource
import sys
import time

import pytest

from tapemill.devices import ipex
from tapemill.doctor import machine
from tapemill.doctor import packages as software

MACHINE = ("check_limits", "check_memory", "check_clock")


def test_versions_are_told_and_those_of_the_lock(patient):
    python, packages, plugins = patient.found("check_python", "check_packages", "check_plugins")
    assert {python.level, packages.level, plugins.level} == {"ok"}
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in python.title
    assert "snakemake " in packages.title
    assert plugins.title == "Snakemake plugins: scheduler lanes, logger rich"


def test_an_old_python_is_an_error(patient, monkeypatch):
    monkeypatch.setattr(software, "OLDEST_PYTHON", (99, 0))
    wrong = patient.only("check_python")
    assert "is too old" in wrong.title
    assert "make setup PYTHON=" in wrong.remedy


def test_a_package_that_is_missing_is_an_error_and_another_version_a_warning(patient, monkeypatch):
    real = software.version

    def installed(name):
        if name == "pysubs2":
            raise software.PackageNotFoundError(name)
        return {"torch": "2.13.0+xpu", "rich": "1.0"}.get(name) or real(name)

    monkeypatch.setattr(software, "version", installed)
    assert patient.only("check_packages").title == "not installed: pysubs2"
    other = patient.only("check_packages", level="warning")
    assert other.title.startswith("1 package not as in requirements.lock")
    assert other.facts[0][1].startswith("rich 1.0 (lock: ")


def test_the_environment_of_intels_extension_has_its_own_torch(patient, monkeypatch):
    real = software.version
    versions = {"torch": "2.8.0+cpu", "torchvision": "0.23.0"}
    monkeypatch.setattr(software, "version", lambda name: versions.get(name) or real(name))
    assert patient.only("check_packages", level="warning").title.startswith("2 packages not as in requirements.lock")
    monkeypatch.setattr(ipex, "installed_versions", lambda: ("2.8.0+cpu", "2.8.0"))
    assert not patient.found("check_packages", level="warning")


def test_plugins_that_a_profile_names_have_to_be_installed(patient):
    folder = patient.path("own")
    folder.mkdir()
    (folder / "config.yaml").write_text("executor: no-such-cluster\nscheduler: greedy\n")
    wrong = patient.only("check_plugins", profile="own")
    assert "the executor 'no-such-cluster' of the profile is not installed" in wrong.title
    assert "pip install snakemake-executor-plugin-no-such-cluster" in wrong.remedy
    assert patient.found("check_plugins", level="ok", profile="own")[0].title.endswith("logger rich")


def test_limits_of_this_machine_are_told(patient):
    found = patient.found(*MACHINE)
    assert not [finding for finding in found if finding.level == "error"]
    assert f"{len(os.sched_getaffinity(0))} cores may be used" in [finding.title for finding in found]


def test_few_open_files_are_a_warning(patient):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        hint = patient.only("check_limits", level="warning")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "a process may open 256 files" in hint.title
    assert "ulimit -n 4096" in hint.remedy


def test_shared_memory_that_is_missing_is_an_error(patient, monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "SHARED", tmp_path / "gone")
    assert "does not exist or is not writable" in patient.only("check_limits").title
    monkeypatch.setattr(machine, "SHARED", tmp_path)
    monkeypatch.setattr(machine, "LEAST_SHARED_BYTES", 1 << 60)
    assert "--shm-size" in patient.only("check_limits", level="warning").remedy


def test_a_runtime_folder_of_somebody_else_is_an_error(patient, tmp_path):
    folder = tmp_path / "run" / "tapemill"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    wrong = patient.only("check_limits")
    assert "must belong to you only" in wrong.title
    assert "XDG_RUNTIME_DIR" in wrong.remedy


def test_little_memory_is_a_warning_and_a_limit_of_the_session_counts(patient, monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable:  1048576 kB\n")
    (tmp_path / "max").write_text("max\n")
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "GROUP_LIMIT", tmp_path / "max")
    assert patient.only("check_memory", level="warning").title == "1.0 GiB of memory are free"
    (tmp_path / "meminfo").write_text("MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n")
    assert patient.found("check_memory")[0].title == "4.0 GiB of memory are free, of 8.0 GiB"
    (tmp_path / "max").write_text(f"{1 << 30}\n")
    limit, hint = patient.found("check_memory")
    assert limit.title == "this session may use 1.0 GiB of memory, of 8.0 GiB"
    assert hint.level == "warning"


@pytest.mark.parametrize(("ahead_s", "says"), [(7200, "another time zone"), (5000, "by up to 1.4 hours")])
def test_results_from_the_future_are_a_warning(patient, ahead_s, says):
    record = patient.path("results/one/capture.json")
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert patient.found("check_clock")[0].level == "ok"
    later = time.time() + ahead_s
    os.utime(record, (later, later))
    hint = patient.only("check_clock", level="warning")
    assert says in hint.title
    assert ("another time zone" in hint.title) == (ahead_s == 7200)
    assert ("file", "results/one/capture.json") in hint.facts


def test_a_clock_that_is_behind_is_a_warning(patient, monkeypatch, tmp_path):
    (tmp_path / "requirements.lock").write_text("")
    later = time.time() + 1e6
    os.utime(tmp_path / "requirements.lock", (later, later))
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert "the clock is behind" in patient.only("check_clock", level="warning").title

"""`tapemill run` calls Snakemake with the profile of the machine."""

import subprocess
import sys

import pytest

from tapemill.cli.run import machine_kind, snakemake_command
from tests.support.project import ROOT

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


@pytest.mark.parametrize(("kind", "profile"), [("xpu", "arc2"), ("cuda", "cuda"), ("hip", "rocm"), ("cpu", "cpu")])
def test_the_profile_is_that_of_the_gpus(kind, profile):
    command = snakemake_command(["all", "-n"], {}, ROOT, lambda: kind)
    assert command == [*SNAKEMAKE, "--profile", str(ROOT / "profiles" / profile), "all", "-n"]


@pytest.mark.parametrize("stated", [["--profile", "profiles/slurm"], ["--profile=profiles/slurm"]])
def test_a_profile_that_is_stated_stays_and_no_gpu_is_searched_for(stated):
    assert snakemake_command([*stated, "all"], {}, ROOT, pytest.fail) == [*SNAKEMAKE, *stated, "all"]
    assert snakemake_command(["all"], {"SNAKEMAKE_PROFILE": "x"}, ROOT, pytest.fail) == [*SNAKEMAKE, "all"]


def test_a_folder_without_a_snakefile_uses_that_of_the_checkout(tmp_path):
    command = snakemake_command(["all"], {"SNAKEMAKE_PROFILE": "x"}, tmp_path, pytest.fail)
    assert command == [*SNAKEMAKE, "--snakefile", str(ROOT / "Snakefile"), "all"]


def test_a_machine_with_a_cpu_build_of_torch_is_a_cpu(monkeypatch):
    monkeypatch.setattr("tapemill.cli.run.torch_build", lambda: type("Build", (), {"kinds": ()}))
    assert machine_kind() == "cpu"


def test_a_build_for_gpus_without_a_gpu_is_a_cpu(monkeypatch):
    monkeypatch.setattr("tapemill.cli.run.torch_build", lambda: type("Build", (), {"kinds": ("cuda",)}))
    monkeypatch.setattr("tapemill.cli.run.enumerate_gpus", lambda kind: [])
    assert machine_kind() == "cpu"


def test_a_build_for_amd_with_a_gpu_is_hip(monkeypatch):
    monkeypatch.setattr("tapemill.cli.run.torch_build", lambda: type("Build", (), {"kinds": ("hip",)}))
    monkeypatch.setattr("tapemill.cli.run.enumerate_gpus", lambda kind: [object()] if kind == "hip" else [])
    assert machine_kind() == "hip"


def test_options_are_passed_on_and_the_exit_code_is_snakemake_s():
    done = subprocess.run(
        [sys.executable, "-m", "tapemill", "run", "--profile", "none", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.startswith("9.27.")
    refused = [sys.executable, "-m", "tapemill", "run", "--profile", "none", "--no-such-option"]
    assert subprocess.run(refused, capture_output=True, check=False, cwd=ROOT).returncode == 2


def test_help_explains_the_profiles():
    command = [sys.executable, "-m", "tapemill", "run", "--help"]
    assert "arc2" in subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

"""The environments that conda makes for jobs: complete, exact, and the ones that jobs and their workers run in."""

import re
import subprocess
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tapemill.devices.device import SETUP_DEVICES
from tapemill.doctor.packages import OLDEST_PYTHON
from tests.support.fakes import conda
from tests.support.media.frame_codes import make_capture
from tests.support.project import ROOT, Project

FILES = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "envs").glob("*.yaml")}
LATER = {path.name.partition(".")[0]: path.read_text() for path in (ROOT / "envs").glob("*.post-deploy.sh")}
# What torch was built with, or asks for in the version it likes.
OF_TORCH = {"setuptools", "triton"}
# Set apart for the triton that it would bring.
APART = "openai-whisper"


def pins(name):
    (listed,) = [entry["pip"] for entry in FILES[name]["dependencies"] if isinstance(entry, dict)]
    return listed


def python_of(name):
    (found,) = [entry for entry in FILES[name]["dependencies"] if str(entry).startswith("python=")]
    return tuple(map(int, found.removeprefix("python=").split(".")))


def locked():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines if "==" in line}


def needed(python):
    """Names of the packages of pyproject.toml and of all that they need, on Linux under this Python."""
    version = ".".join(map(str, python))
    here = {"python_version": version, "python_full_version": f"{version}.0"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    todo = [Requirement(each) for each in project["dependencies"]]
    found = set()
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if (name, *wanted.extras) in found or name in OF_TORCH:
            continue
        found.add((name, *wanted.extras))
        for more in map(Requirement, metadata.requires(wanted.name) or ()):
            if more.marker is None or any(more.marker.evaluate(here | {"extra": e}) for e in ("", *wanted.extras)):
                todo.append(more)
    return {name for name, *_ in found}


def test_there_is_one_for_each_kind_that_make_setup_knows_and_they_differ_by_name_alone():
    (kinds,) = re.findall(r"case .* in (.*?)\) ;;", (ROOT / "Makefile").read_text())
    assert set(FILES) == set(LATER) == set(kinds.split("|"))
    assert {name: values["name"] for name, values in FILES.items()} == {name: f"tapemill-{name}" for name in FILES}
    assert len({str(values | {"name": None}) for values in FILES.values()}) == 1
    assert len(set(LATER.values())) == 1


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_environment_has_all_that_is_needed_exactly_as_the_lock_has_it_and_no_more(name):
    assert python_of(name) >= OLDEST_PYTHON
    lock, listed = locked(), pins(name)
    assert listed[0] == f"torch=={lock['torch']}"
    wanted = {f"{each}=={lock[each]}" for each in needed(python_of(name)) - {APART, "torch"}}
    there = {f"{canonicalize_name(pin.partition('==')[0])}=={pin.partition('==')[2]}" for pin in listed[1:]}
    assert there == wanted
    assert f"pip install --no-deps {APART}=={lock[APART]}\n" in LATER[name]


def test_torch_is_the_one_that_make_setup_installs():
    (torch,) = re.findall(r"torch==[\d.]+", (ROOT / "Makefile").read_text())
    assert {pins(name)[0] for name in FILES} == {torch}


def test_the_environment_of_intels_extension_differs_from_the_lock_by_torch_alone(tmp_path):
    own = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "envs" / "ipex.lock").read_text(), re.MULTILINE))
    assert own == {"torch": "2.8.0", "torchvision": "0.23.0"}
    steps = dry_run("setup-ipex", "PYTHON=python3")
    (filtered,) = [step for step in steps if step.startswith("grep ")]
    left = subprocess.run(
        filtered.partition(" > ")[0], shell=True, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(locked()) - set(own) == {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", left, re.M)}
    assert any("intel-extension-for-pytorch==2.8.0" in step and "--no-deps" in step for step in steps)
    assert not any(re.search(r"\.venv/", step) for step in steps)
    for_gpus = dry_run("setup-ipex", "TORCH_INDEX=https://a.invalid", "IPEX_INDEX=https://b.invalid", "IPEX=2.8.10+xpu")
    assert any("--index-url https://a.invalid" in step and "-r envs/ipex.lock" in step for step in for_gpus)
    (extension,) = [step for step in for_gpus if "intel-extension-for-pytorch==2.8.10+xpu" in step]
    assert "--extra-index-url https://b.invalid" in extension


def test_test_gpu_expects_the_kind_of_gpu_that_a_device_is():
    for device, kind in (("cuda", "cuda"), ("xpu", "xpu"), ("rocm", "hip")):
        (step,) = [step for step in dry_run("test-gpu", f"DEVICE={device}") if "tests/gpu" in step]
        assert step.startswith(f"TAPEMILL_EXPECT_GPU={kind} ")
        assert SETUP_DEVICES[kind] == device


def dry_run(*arguments):
    """Commands that make would run if nothing was installed."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


# Two environments, each a venv, and Snakemake's own questions to conda: half a minute where others work too.
@pytest.mark.long
def test_jobs_and_the_workers_of_cards_run_in_the_environments_that_conda_made(tmp_path, monkeypatch):
    for name, value in conda.install(tmp_path / "conda").items():
        monkeypatch.setenv(name, value)
    project = Project(tmp_path / "project")
    # A folder of scenes has no checkpoint, and a clip without speech needs no model.
    project.path("scenes").mkdir()
    make_capture(project.path("scenes/one.mkv"), frames=25, size=(128, 96))
    project.sheet({"tape": "T", "source": "scenes", "language": "en", "field_order": "progressive"})
    project.configure(lanes={"device": "cuda"})
    run = project.make(
        "results/T/subtitles/0000001.srt", "--software-deployment-method", "conda", "--resources", "gpu0=1"
    )
    assert {"probe_capture", "extract_audio", "transcribe_scene"} <= set(run.jobs)
    started = conda.environments(project.folder)
    assert set(started) == {"tapemill-cpu", "tapemill-cuda"}
    scripts = {name: " ".join(commands) for name, commands in started.items()}
    assert "probe_capture.py" in scripts["tapemill-cpu"]
    assert "transcribe_scene.py" in scripts["tapemill-cuda"]
    assert "tapemill.lanes.worker" in scripts["tapemill-cuda"]
    assert "tapemill.lanes.worker" not in scripts["tapemill-cpu"]
    assert "transcribe_scene.py" not in scripts["tapemill-cpu"]

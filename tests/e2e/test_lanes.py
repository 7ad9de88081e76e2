"""The whole workflow on two lanes: warm and cold alike, and what happens when a card fails or the run is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tapemill.lanes import lease
from tapemill.process import liveness
from tapemill.storage.checksums import MANIFEST
from tests.support.media import speech
from tests.support.polling import wait_for
from tests.support.project import ROOT, Project, result_digests

LANES = ("--scheduler", "lanes", "--scheduler-lanes-device", "cpu", "--resources", "gpu0=2", "gpu1=2")
SCENES = 4
FAULTS = str(Path(__file__).parents[1] / "faults")


def talking_tape(folder, **lanes):
    project = Project(folder)
    (folder / "scenes").mkdir()
    said = [speech.sentence(0), speech.sentence(1), speech.recording(), speech.sentence(1)]
    for number in range(SCENES):
        speech.make_scene(folder / "scenes" / f"{number + 1}.mkv", said[number])
    project.sheet({"tape": "T", "source": "scenes", "language": "en", "field_order": "progressive"})
    project.configure(lanes={"limit_min_s": 60, **lanes})
    return project


@pytest.fixture(autouse=True)
def own_runtime_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "scripts"), FAULTS]))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The result files of a run without lanes."""
    project = talking_tape(tmp_path_factory.mktemp("plain") / "project", warm=False)
    project.make("all")
    assert "dancing" in project.path("results/T/T.srt").read_text()
    return result_digests(project.folder)


def logs(project):
    return {path.stem: path.read_text() for path in project.path("logs/transcribe_scene/T").glob("*.log")}


def is_free(path):
    return lease.is_free(path.parent, path.stem)


@pytest.mark.parametrize("warm", [True, pytest.param(False, marks=pytest.mark.long)])
def test_warm_and_cold_lanes_make_the_same_files_as_none(undisturbed, tmp_path, warm):
    project = talking_tape(tmp_path / "project", warm=warm)
    run = project.make("all", *LANES, cores=4)
    assert run.jobs["transcribe_scene"] == SCENES
    assert result_digests(project.folder) == undisturbed
    where = [next(line for line in text.splitlines() if ": lane cpu" in line) for text in logs(project).values()]
    assert {line.split("lane ")[1].split(",")[0] for line in where} == {"cpu0", "cpu1"}
    assert all(("in this process" in line) != warm for line in where)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("memory", "OutOfMemory"),
        pytest.param("die", "died during", marks=pytest.mark.long),
        pytest.param("hang", "did not end within", marks=pytest.mark.long),
    ],
)
def test_a_failure_of_the_card_costs_one_attempt_and_changes_nothing(undisturbed, tmp_path, monkeypatch, fault, told):
    monkeypatch.setenv("FAULT", fault)
    monkeypatch.setenv("FAULT_MARK", str(tmp_path / "mark"))
    project = talking_tape(tmp_path / "project", limit_min_s=8, limit_factor=1)
    run = project.make("all", *LANES, cores=4)
    assert "Trying to restart job" in run.output
    retold = [text for text in logs(project).values() if "attempt 1 failed" in text]
    assert len(retold) == 1
    assert told in retold[0]
    assert run.jobs["transcribe_scene"] == SCENES
    after = result_digests(project.folder)
    different = {name for name in undisturbed if after[name] != undisturbed[name]}
    # The record of a scene says when it was recognised with less than was asked for.
    assert all(name.endswith((".json", MANIFEST)) for name in different)
    assert after.keys() == undisturbed.keys()


def test_nothing_outlives_a_killed_run_and_the_next_one_goes_on_at_once(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("FAULT", "hang")
    monkeypatch.setenv("FAULT_MARK", str(tmp_path / "mark"))
    project = talking_tape(tmp_path / "project")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "4", "all", *LANES]
    main = subprocess.Popen(
        [*command, "--profile", str(ROOT / "profiles" / "cpu"), "--directory", str(project.folder)],
        stdout=(tmp_path / "output").open("w"),
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    mark = tmp_path / "mark"
    deadline = time.monotonic() + 120
    while not mark.exists() or not mark.read_text():
        assert main.poll() is None, (tmp_path / "output").read_text()
        assert time.monotonic() < deadline, (tmp_path / "output").read_text()
        time.sleep(0.05)
    base = tmp_path / "tapemill"
    workers = [int(str(lease.facts(base, name.stem)["pid"])) for name in base.glob("*.lease")]
    jobs = [child.pid for child in psutil.Process(main.pid).children(recursive=True)]
    assert int(mark.read_text()) in workers
    assert jobs
    os.kill(main.pid, signal.SIGKILL)
    main.wait()
    wait_for(
        lambda: not any(map(liveness.run_of, [*workers, *jobs])) and all(map(is_free, base.glob("*.lease"))),
        seconds=5,
        message="something outlives the run by more than 5 s",
    )
    monkeypatch.delenv("FAULT")
    project.make("all", *LANES, cores=4)
    assert result_digests(project.folder) == undisturbed
    assert json.loads(project.path(".snakemake/tapemill.lock").read_text())["pid"] != main.pid

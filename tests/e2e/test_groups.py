"""The whole workflow on a cluster that is not there: fewer submissions than jobs, and the same tape, byte for byte."""

import json
import os
import re

import pytest

from tests.support.media.speech import make_scene, recording, sentence
from tests.support.project import ROOT, Project, result_digests

CLUSTER = ("--executor", "standin", "--jobs", "2", "--seconds-between-status-checks", "1")
SCENES = 4

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _on_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests" / "plugins")]))


@pytest.fixture
def project(tmp_path):
    """A folder of ready scenes, whose lengths nobody knows when they are divided, and a capture."""
    made = Project(tmp_path / "project")
    (made.folder / "scenes").mkdir()
    for number, said in enumerate([sentence(0), sentence(1), recording(), sentence(1)], 1):
        make_scene(made.folder / "scenes" / f"{number}.mkv", said)
    made.sheet({"tape": "T", "source": "scenes", "language": "auto", "field_order": "progressive"})
    return made


def submissions(project):
    return [json.loads(line) for line in project.path("submissions").read_text().splitlines()]


def test_one_submission_does_many_scenes_with_one_worker_and_the_tape_is_the_same(project):
    project.make("all")
    local = result_digests(project.folder)
    for name in ("results", ".snakemake", "events", "logs", "benchmarks"):
        project.path(name).rename(project.path(f"{name} of the local run"))
    project.make("all", *CLUSTER)
    assert result_digests(project.folder) == local
    groups = {each["name"]: each for each in submissions(project) if len(each["jobs"]) > 1}
    assert {name: len(each["jobs"]) for name, each in groups.items()} == {
        "T-enhance-001": 2 * SCENES,
        "T-audio-001": SCENES,
        "T-subtitles-001": SCENES,
    }
    assert groups["T-subtitles-001"]["asked"]["gpu"] == 1
    logs = [path.read_text() for path in project.path("logs/transcribe_scene/T").glob("*.log")]
    workers = {worker for log in logs for worker in re.findall(r"lane \w+, worker (\d+)", log)}
    assert len(logs) == SCENES
    assert len(workers) == 1
    assert not list(project.path(".snakemake/incomplete").iterdir())

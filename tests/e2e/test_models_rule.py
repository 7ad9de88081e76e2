import shutil

import pytest
import yaml

from tapemill.models import read_lock
from tests.support.project import DEMO_MODEL, Project


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def test_a_model_of_ones_own_is_pinned_by_the_rule_and_refused_once_it_changed(project):
    own = project.path("my own.pt")
    shutil.copy(project.path(DEMO_MODEL), own)
    project.configure(subtitles={"model": str(own)})
    project.sheet()
    assert project.make("fetch_models").jobs == {"fetch_models": 1}
    lock = project.path("config/models.lock")
    pin = read_lock(lock)[str(own)]
    assert pin == read_lock(lock)["demo-en"] | {"file": str(own), "kind": "speech"}
    own.write_bytes(own.read_bytes()[:-1] + b"x")
    run = project.run("fetch_models")
    assert run.exit_code != 0
    assert "not the one that was pinned" in run.output
    assert read_lock(lock)[str(own)] == pin


def test_a_mistake_in_the_registry_is_found_by_the_plan(project):
    registry = project.path("config/models.yaml")
    registry.write_text(yaml.safe_dump({"mine": {"kind": "speech", "file": DEMO_MODEL, "licens": "?"}}))
    project.configure(subtitles={"model": "mine"})
    project.sheet()
    run = project.run("all", "-n")
    assert run.exit_code != 0
    assert "did you mean 'licence'" in run.output

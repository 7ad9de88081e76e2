"""Tests on a real Slurm, which is set up for them: `make test-slurm`, as root. Other runs leave the machine alone."""

import os
from importlib.util import find_spec

import pytest

from tests.crash.reference_run import make_project, results, undisturbed
from tests.slurm.single_node import NotHere, one_node
from tests.slurm.slurm_project import OnSlurm
from tests.support.project import digest

EXPECTED = os.environ.get("TAPEMILL_EXPECT_SLURM", "")


def pytest_collection_modifyitems(items):
    """Here and only here tests are skipped."""
    if not EXPECTED:
        reason = "it sets up Slurm on this machine, as root: make test-slurm"
        for item in items:
            if item.path.is_relative_to(os.path.dirname(__file__)):  # noqa: PTH120
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def in_peace(tmp_path_factory):
    """The tape as it comes out on this machine alone. Before `slurm`, so that no other waits for it."""
    return undisturbed(tmp_path_factory.mktemp("local") / "project").kept


@pytest.fixture(scope="session")
def slurm(in_peace):
    """Slurm, until the last test is done."""
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.fail("snakemake-executor-plugin-slurm is not installed: make setup")
    try:
        with one_node() as up:
            yield up
    except NotHere as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def finished(slurm, tmp_path_factory):
    """The tape made by Slurm, in its folder."""
    project = OnSlurm(make_project(tmp_path_factory.mktemp("slurm") / "project"), slurm)
    project.start()
    assert project.end() == 0, project.said()
    return project


@pytest.fixture
def half_done(finished, in_peace, tmp_path):
    """A copy of it, whose clips are still to be made; afterwards the tape has to be there again, byte for byte."""
    project = finished.copy(tmp_path / "project")
    for path in [*project.folder.glob("results/T/enhanced/*"), project.folder / "results/T/T.mkv"]:
        path.unlink()
    yield project
    assert {name: digest(path) for name, path in results(project.project).items()} == in_peace, project.said()
    assert not list(project.folder.glob("results/.partial/*"))

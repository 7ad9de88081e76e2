import shutil

import pytest

from tests.support.media.frame_codes import make_capture
from tests.support.project import Project

# Small and quick, yet interlaced, with three hard cuts; the last scene is the longest.
CUTS = (50, 100, 150)
FRAMES = 275


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished tape that no test may change: take a `copy` of it.

    It is settled, too: what is to be made again must be made again, although Snakemake need not look at it.
    """
    project = Project(tmp_path_factory.mktemp("tape") / "project")
    (project.folder / "captures").mkdir()
    make_capture(project.path("captures/T01.mkv"), frames=FRAMES, interlaced="tff", size=(360, 288), cuts=CUTS)
    project.sheet(
        {"tape": "T01", "source": "captures/T01.mkv", "language": "en", "title": "Counting", "field_order": "tff"}
    )
    project.make("all")
    assert not project.make("all").jobs
    return project


@pytest.fixture
def copy(finished, tmp_path):
    """The finished tape in a folder of its own, file times kept."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    project = Project.__new__(Project)
    project.folder = tmp_path / "copy"
    return project

import pytest

from tests.support.media.frame_codes import make_capture
from tests.support.project import Project
from tests.support.shared_fixture import made_once

# Small and quick, yet interlaced, with three hard cuts; the last scene is the longest.
CUTS = (50, 100, 150)
FRAMES = 275


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """A finished tape that no test may change: take a `copy` of it. A second run has put its up-to-date digest down."""
    return Project.existing(made_once(tmp_path_factory, worker_id, "finished_tape", make_finished_tape))


def make_finished_tape(folder):
    project = Project(folder / "project")
    (project.folder / "captures").mkdir()
    make_capture(project.path("captures/T01.mkv"), frames=FRAMES, interlaced="tff", size=(360, 288), cuts=CUTS)
    project.sheet(
        {"tape": "T01", "source": "captures/T01.mkv", "language": "en", "title": "Counting", "field_order": "tff"}
    )
    project.make("all")
    assert not project.make("all").jobs
    return project.folder


@pytest.fixture
def copy(finished, tmp_path):
    """The finished tape in a folder of its own, file times kept."""
    return Project.copied(finished.folder, tmp_path / "copy")

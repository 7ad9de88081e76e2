"""The worst names in one run of the real workflow."""

import shutil
from fractions import Fraction

import av
import pytest

from tests.hostile.file_names import HOSTILE, LONG, TITLE
from tests.support.media.frame_codes import make_capture
from tests.support.project import Project

pytestmark = pytest.mark.long
# As long as ids may be. Snakemake refuses those that repeat themselves.
ID = "-".join(str(number) for number in range(24))[:64]


def test_a_folder_of_scenes_with_the_worst_names_and_a_title_to_match(tmp_path):
    project = Project(tmp_path / "it's a {project} 100%d")
    folder = project.path("scenes {tape} $(touch pwned)")
    folder.mkdir()
    make_capture(tmp_path / "a.mkv", frames=20, size=(128, 96))
    for name in HOSTILE:
        shutil.copy(tmp_path / "a.mkv", folder / name)
    project.sheet({"tape": "T", "source": folder.name, "language": "en", "title": TITLE})
    project.make("all")
    with av.open(str(project.path("results/T/T.mkv"))) as tape:
        assert tape.metadata["title"] == TITLE
        assert sum(1 for _ in tape.decode(video=0)) == 20 * len(HOSTILE)
    assert not list(tmp_path.rglob("pwned"))
    again = project.make("all")
    assert not again.jobs


def test_a_capture_with_a_name_of_255_bytes(tmp_path):
    project = Project(tmp_path / "project")
    make_capture(project.path("a.mkv"), frames=30, size=(128, 96), rate=Fraction(30000, 1001))
    project.path("a.mkv").rename(project.path(LONG))
    project.sheet({"tape": ID, "source": LONG, "language": "en"})
    project.make("all")
    assert project.path(f"results/{ID}/{ID}.mkv").exists()

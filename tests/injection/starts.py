"""Projects from which points start: a new one, and the same one as a killed run left it at later stages.

A point of a late stage then costs seconds. The tape is as small as one can be that uses every kind of process.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tapemill.process.results_lease import LEASE
from tests.crash.reference_run import ROW, make_project
from tests.injection import layer
from tests.injection.command import kept_results, run
from tests.injection.points import Point, Site, read_record
from tests.support.project import Project

NOTHING = "nothing"
FRAMES, CUTS = 60, (30,)
# The later starts, in order. Each is where the first job of a rule makes the folder of its log.
LATER = {
    "extract_audio": "logs/extract_audio/T",
    "enhance_scene": "logs/enhance_scene/T",
    "mux_tape": "logs/mux_tape",
    "render_tape_report": "logs/render_tape_report",
}


@dataclass(frozen=True)
class Prepared:
    """What all points of a session share."""

    folder: Path
    library: Path
    truth: Mapping[str, str]
    """Results of a run that nothing disturbs."""
    recordings: Mapping[str, Counter[Site]]
    """Call sites of the run from each start, the shortest run first."""

    @contextmanager
    def project(self, start: str) -> Iterator[Project]:
        """Yield a copy of the project at a start, in a folder of its own."""
        with _copied(self.folder, start) as project:
            yield project


def prepare(folder: Path, later: Sequence[str] = tuple(LATER)) -> Prepared:
    """Make the project and its later starts in an empty folder, and record a run from each."""
    library = layer.build(folder)
    (folder / "trials").mkdir()
    _make_new(folder)
    truth, sites = _record(folder, library, NOTHING)
    recordings = {NOTHING: sites}
    for before, start in pairwise([NOTHING, *later]):
        _make_later(folder, library, before, start)
        found, recordings[start] = _record(folder, library, start)
        assert found == truth, f"{start}: {sorted(found.items() ^ truth.items())}"
    return Prepared(folder, library, truth, dict(reversed(recordings.items())))


def _make_new(folder: Path) -> None:
    project = make_project(folder / NOTHING, frames=FRAMES, cuts=CUTS, pages=True)
    # Outside, so that every copy of the project has the very same file.
    capture = project.path(ROW["source"]).rename(folder / ROW["source"])
    project.sheet(ROW | {"source": str(capture)})


def _make_later(folder: Path, library: Path, before: str, start: str) -> None:
    """Kill a run from the start `before` at the first job of the rule `start`, and keep what is on disk."""
    point = Point(before, Site("job", "create", "*", LATER[start]), 1, "kill-run")
    with _copied(folder, before) as project:
        injection = layer.Injection(library, project.folder, point)
        ended = run(project, injection.environment, injection)
        assert injection.state().is_hit, ended.output
        for lease in project.path("results").rglob(LEASE):
            # It names another folder than that of the copy: the next run would wait for that one's jobs.
            lease.unlink()
        shutil.copytree(project.folder, folder / start, symlinks=True)


def _record(folder: Path, library: Path, start: str) -> tuple[dict[str, str], Counter[Site]]:
    """Results and call sites of a run from a start."""
    with _copied(folder, start) as project:
        record = project.folder.with_name("record")
        ended = run(project, layer.recording(library, project.folder, record))
        assert ended.exit_code == 0, ended.output
        return kept_results(project), read_record(record)


@contextmanager
def _copied(folder: Path, start: str) -> Iterator[Project]:
    with tempfile.TemporaryDirectory(dir=folder / "trials") as trial:
        project = Path(trial, "project")
        shutil.copytree(folder / start, project, symlinks=True)
        yield Project.existing(project)

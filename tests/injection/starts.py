"""Projects from which points start: a new one, and the same one as a killed run left it at later stages.

A point of a late stage then costs seconds. The tape is as small as one can be that uses every kind of process.
"""

from __future__ import annotations

import json
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
TRUTH = "truth.json"
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
    """Make the project and its later starts in a folder, and record a run from each.

    What the folder has from an earlier session with the same starts is used again.
    """
    starts = [NOTHING, *later]
    library = layer.build(folder)
    if not (folder / TRUTH).exists():
        (folder / "trials").mkdir()
        _make_new(folder)
        truth = _record(folder, library, NOTHING)
        for before, start in pairwise(starts):
            _make_later(folder, library, before, start)
            found = _record(folder, library, start)
            assert found == truth, f"{start}: {sorted(found.items() ^ truth.items())}"
        (folder / TRUTH).write_text(json.dumps(truth))
    recordings = {start: read_record(folder / f"{start}.record") for start in reversed(starts)}
    return Prepared(folder, library, json.loads((folder / TRUTH).read_text()), recordings)


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


def _record(folder: Path, library: Path, start: str) -> dict[str, str]:
    """Results of a run from a start, whose calls are recorded."""
    with _copied(folder, start) as project:
        ended = run(project, layer.recording(library, project.folder, folder / f"{start}.record"))
        assert ended.exit_code == 0, ended.output
        return kept_results(project)


@contextmanager
def _copied(folder: Path, start: str) -> Iterator[Project]:
    with tempfile.TemporaryDirectory(dir=folder / "trials") as trial:
        project = Path(trial, "project")
        shutil.copytree(folder / start, project, symlinks=True)
        yield Project.existing(project)

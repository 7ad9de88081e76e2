"""Page of the runs that made the tapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tapemill.events.run_state import load_run
from tapemill.storage import atomic

from . import charts
from .page import render
from .runs import run_views
from .sampling import read_sample
from .tape_history import attempts_by_run

# Only the latest runs are shown, of tapes made in many runs.
MOST_RUNS: Final = 8


def render_run_report(*, tapes: Sequence[str], samples: Mapping[str, Path], target: Path) -> None:
    """Write the page of the runs that made some tapes, the latest first.

    `samples` are the files of `sample_report_frames`, by finished tape.
    """
    scenes = {tape: {each["scene"] for each in read_sample(path)["scenes"]} for tape, path in samples.items()}
    views = run_views(attempts_by_run(), {tape: scenes.get(tape) for tape in tapes})
    shown = views[: -MOST_RUNS - 1 : -1]
    page = render(
        "runs.html",
        runs=shown,
        older=len(views) - len(shown),
        tapes=len(tapes),
        finished=len(samples),
        charts={run.name: charts.timeline(run) for run in shown if run.rows},
        facts={run.name: load_run(run.name).outcome() for run in shown},
    )
    atomic.write_text(target, page)

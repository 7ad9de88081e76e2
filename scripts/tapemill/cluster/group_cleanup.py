"""Finished jobs of a group, by the records of the process that ran them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tapemill.jobs import attempt_store
from tapemill.process import liveness


def all_done(jobs: Collection[Any], dependencies: Mapping[Any, Collection[Any]], run: str) -> set[Any]:
    """Return the jobs of a group that are done in the run with this id.

    A temporary file is gone after its use: its maker is done if all jobs of the group that use it are done.
    """
    done = {job for job in jobs if is_done(job, run)}
    users = defaultdict(list)
    for job in jobs:
        for before in dependencies[job]:
            users[before].append(job)
    return done | {job for job in jobs if users[job] and done.issuperset(users[job]) and _is_recorded_done(job, run)}


def is_done(job: Any, run: str) -> bool:
    """Whether a job of a group is recorded as done in the run with this id, and its outputs exist."""
    return _is_recorded_done(job, run) and all(Path(file).exists() for file in job.output)


def _is_recorded_done(job: Any, run: str) -> bool:
    return bool(job.log) and attempt_store.is_done(run, Path(job.log[0]))


def is_done_in_this_run(job: Any) -> bool:
    """Whether a job of a group is done in the run that this process belongs to."""
    run = liveness.current_run()
    return run is not None and is_done(job, run.id)

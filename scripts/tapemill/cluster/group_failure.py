"""Failure of a job group: finished jobs stay finished, jobs with passing errors are retried, the others fail.

For Snakemake (9.27.1) a group is one job: it removes the outputs of all its jobs, retries all of them, and records them
when the last one is done. There are no public calls for anything else; tests/workflow/test_grouping.py fails if a new
Snakemake does it elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

from tapemill.jobs import attempt_store
from tapemill.jobs.attempt_store import RetryRecord
from tapemill.process import liveness
from tapemill.snakemake_compat.groups.splitting import (
    finish,
    make_part,
    replace_running,
    running_groups,
    split_failed_groups,
)
from tapemill.snakemake_compat.retries import stop_retries

from .group_cleanup import all_done, is_done

LOG = logging.getLogger("tapemill.cluster")

RECORD_INTERVAL_S: Final = 15.0


class GroupJobOutcome(IntEnum):
    """Outcome of a job of a failed group. A job that needs the output of another one gets its outcome, if worse."""

    DONE = 0
    NOT_STARTED = 1
    """It did not start, although others did: this does not count as an attempt."""
    RETRY = 2
    FINAL = 3
    BLOCKED = 4
    """It needs the output of a job with the outcome FINAL."""


def watch_groups(workflow: Any) -> None:
    """Handle failed groups and record finished jobs of running groups, in the main process before the first job."""
    scheduler, run = workflow.scheduler, liveness.own_run().id
    split_failed_groups(scheduler, lambda group: split_failed_group(scheduler, group, run))
    threading.Thread(target=_record_finished_jobs, args=(workflow, run), name="records", daemon=True).start()


def split_failed_group(scheduler: Any, group: Any, run: str) -> list[Any]:
    """Replace a failed group by its parts, and return those that failed. The finished part succeeds."""
    dag = scheduler.workflow.dag
    by_outcome: dict[GroupJobOutcome, set[Any]] = {}
    for job, outcome in group_outcomes(group, dag.dependencies, run).items():
        by_outcome.setdefault(outcome, set()).add(job)
    if GroupJobOutcome.DONE not in by_outcome and GroupJobOutcome.NOT_STARTED in by_outcome:
        # Without any progress there must be no endless retry.
        by_outcome.setdefault(GroupJobOutcome.RETRY, set()).update(by_outcome.pop(GroupJobOutcome.NOT_STARTED))
    parts = {outcome: make_part(dag, group, jobs) for outcome, jobs in by_outcome.items()}
    replace_running(
        scheduler, group, [part for outcome, part in parts.items() if outcome is not GroupJobOutcome.BLOCKED]
    )
    if GroupJobOutcome.DONE in parts:
        finish(scheduler, parts[GroupJobOutcome.DONE])
    if GroupJobOutcome.NOT_STARTED in parts:
        # Snakemake adds one.
        parts[GroupJobOutcome.NOT_STARTED].attempt -= 1
    if GroupJobOutcome.FINAL in parts:
        stop_retries(parts[GroupJobOutcome.FINAL])
    return [
        parts[outcome]
        for outcome in (GroupJobOutcome.NOT_STARTED, GroupJobOutcome.RETRY, GroupJobOutcome.FINAL)
        if outcome in parts
    ]


def group_outcomes(
    group: Collection[Any], dependencies: Mapping[Any, Collection[Any]], run: str
) -> dict[Any, GroupJobOutcome]:
    """Return the outcome of each job of a group, given in the order of dependencies, in the run with this id."""
    found = dict.fromkeys(all_done(group, dependencies, run), GroupJobOutcome.DONE)
    for job in group:
        if job not in found:
            own = _own_outcome(attempt_store.load(run, Path(job.log[0])))
            worst = max((found[other] for other in dependencies[job] if other in found), default=own)
            found[job] = (
                GroupJobOutcome.BLOCKED
                if worst >= GroupJobOutcome.FINAL and own is not GroupJobOutcome.FINAL
                else max(own, worst)
            )
    return found


def _own_outcome(note: RetryRecord) -> GroupJobOutcome:
    if note.is_final:
        return GroupJobOutcome.FINAL
    return GroupJobOutcome.RETRY if note.failures else GroupJobOutcome.NOT_STARTED


def _record_finished_jobs(workflow: Any, run: str) -> None:
    """Write Snakemake's records of finished jobs while others of their group run, because the run may be killed."""
    recorded: set[Any] = set()
    while True:
        threading.Event().wait(RECORD_INTERVAL_S)
        groups = running_groups(workflow.scheduler)
        for job in (job for group in groups for job in group if job not in recorded):
            try:
                if is_done(job, run):
                    asyncio.run(workflow.persistence.finished(job))
                    recorded.add(job)
            except Exception as error:  # noqa: BLE001  recorded when the group is done, at the latest
                LOG.warning("%s is not recorded yet: %s", job, error)

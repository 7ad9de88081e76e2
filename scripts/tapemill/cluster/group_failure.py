"""What becomes of a group that failed: what is done is done, what can be tried again is, the rest is given up.

To Snakemake (9.27.1) a group is one job: it removes what all of its jobs made, tries again all of them, and writes its
records of them when the last one is done. There are no public calls for anything else; tests/workflow/test_grouping.py
fails if a new Snakemake does it elsewhere.
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
from tapemill.jobs.attempt_store import JobNote
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

RECORD_EVERY_S: Final = 15.0


class Fate(IntEnum):
    """What happens to a job of a failed group. One that needs another's file shares its fate, if that is worse."""

    DONE = 0
    UNTOUCHED = 1
    """It did not come to work, though others did: that does not count as an attempt."""
    AGAIN = 2
    FINAL = 3
    NEVER = 4
    """It needs what a job of fate FINAL should have made."""


def begin(workflow: Any) -> None:
    """In the main process of a run, before its first job: mind groups that fail, record what is done of the others."""
    scheduler, run = workflow.scheduler, liveness.own_run().id
    split_failed_groups(scheduler, lambda group: split_failed_group(scheduler, group, run))
    threading.Thread(target=_record, args=(workflow, run), name="records", daemon=True).start()


def split_failed_group(scheduler: Any, group: Any, run: str) -> list[Any]:
    """Replace a group that failed by its parts, and return those that failed. What is done ends well."""
    dag = scheduler.workflow.dag
    by_fate: dict[Fate, set[Any]] = {}
    for job, fate in fates(group, dag.dependencies, run).items():
        by_fate.setdefault(fate, set()).add(job)
    if Fate.DONE not in by_fate and Fate.UNTOUCHED in by_fate:
        # Without any progress it must not go on for ever.
        by_fate.setdefault(Fate.AGAIN, set()).update(by_fate.pop(Fate.UNTOUCHED))
    parts = {fate: make_part(dag, group, jobs) for fate, jobs in by_fate.items()}
    replace_running(scheduler, group, [part for fate, part in parts.items() if fate is not Fate.NEVER])
    if Fate.DONE in parts:
        finish(scheduler, parts[Fate.DONE])
    if Fate.UNTOUCHED in parts:
        # Snakemake adds one.
        parts[Fate.UNTOUCHED].attempt -= 1
    if Fate.FINAL in parts:
        stop_retries(parts[Fate.FINAL])
    return [parts[fate] for fate in (Fate.UNTOUCHED, Fate.AGAIN, Fate.FINAL) if fate in parts]


def fates(group: Collection[Any], dependencies: Mapping[Any, Collection[Any]], run: str) -> dict[Any, Fate]:
    """What happens to each job of a group, which come in the order of their dependencies, in the run with this id."""
    found = dict.fromkeys(all_done(group, dependencies, run), Fate.DONE)
    for job in group:
        if job not in found:
            own = _own_fate(attempt_store.before(run, Path(job.log[0])))
            worst = max((found[other] for other in dependencies[job] if other in found), default=own)
            found[job] = Fate.NEVER if worst >= Fate.FINAL and own is not Fate.FINAL else max(own, worst)
    return found


def _own_fate(note: JobNote) -> Fate:
    if note.is_final:
        return Fate.FINAL
    return Fate.AGAIN if note.failures else Fate.UNTOUCHED


def _record(workflow: Any, run: str) -> None:
    """Write Snakemake's records of what is done while others of its group are at work, lest the run be killed then."""
    recorded: set[Any] = set()
    while True:
        threading.Event().wait(RECORD_EVERY_S)
        groups = running_groups(workflow.scheduler)
        for job in (job for group in groups for job in group if job not in recorded):
            try:
                if is_done(job, run):
                    asyncio.run(workflow.persistence.finished(job))
                    recorded.add(job)
            except Exception as error:  # noqa: BLE001  it is recorded when the group is done, at the latest
                LOG.warning("%s is not recorded yet: %s", job, error)

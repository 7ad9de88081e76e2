"""Start and end of a run: what Snakemake's `onstart`, `onsuccess` and `onerror` call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tapemill import cluster
from tapemill.cluster import slurm
from tapemill.core.errors import FatalError
from tapemill.events import run_summary
from tapemill.jobs import retry
from tapemill.planning import SHOWS_PLAN
from tapemill.process import heartbeat, liveness, run_lock, signals
from tapemill.snakemake_compat import persistence
from tapemill.snakemake_compat.dag_api import executor_of
from tapemill.snakemake_compat.logging_errors import silence_logging_errors
from tapemill.snakemake_compat.queue_checkpoints import plan_behind_checkpoints
from tapemill.snakemake_compat.reschedule_timer import limit_reschedule_timers
from tapemill.snakemake_compat.temp_files import remove_temp_files_early
from tapemill.storage import atomic, filesystem_checks
from tapemill.workflow import up_to_date

from . import event_publisher

FOLDER = Path(".snakemake")


def on_run_start(workflow: Any, planned_on: int | None) -> None:
    """Called with Snakemake's workflow once it is planned. Raises FatalError if the run may not start.

    `planned_on` is what `run_lock.change_marker` returned before the planning. A run that only shows the plan takes no
    lock, so that it can be started beside another run, and touches nothing that a run needs.
    """
    if _only_looks(workflow.dag):
        liveness.begin_run()
        silence_logging_errors()
        signals.install_handlers()
        return
    filesystem_checks.check_all_filesystems(FOLDER)
    # Held by this process until it ends, however it ends: the kernel releases it (profiles say nolock).
    run_lock.acquire(FOLDER, planned_on)
    slurm.begin(workflow, FOLDER)
    persistence.fsync_records(workflow.persistence)
    persistence.remove_leftovers(FOLDER, workflow.dag)
    retry.begin(workflow.scheduler)
    if workflow.non_local_exec:
        heartbeat.start(liveness.own_run().id)
        cluster.begin(workflow)
    silence_logging_errors()
    limit_reschedule_timers(workflow.scheduler)
    remove_temp_files_early(workflow.dag)
    plan_behind_checkpoints(workflow.dag)
    up_to_date.forget({job.wildcards_dict.get("tape", "") for job in workflow.dag.needrun_jobs()})
    signals.install_handlers(executor_of(workflow))


def _only_looks(dag: Any) -> bool:
    jobs = list(dag.needrun_jobs())
    return bool(jobs) and all(job.rule.name in SHOWS_PLAN for job in jobs)


MOST_NAMED: Final = 10


def on_run_end(workflow: Any, logger: logging.Logger, *, is_ok: bool) -> None:
    """Called with Snakemake's workflow when no job runs any more; `is_ok` is what Snakemake thinks of it.

    Raises FatalError if Snakemake calls a run well whose results are not all there. A process that does not hold the
    run lock has only looked (`starting`), and leaves all as it is.
    """
    if not run_lock.is_held():
        return
    atomic.clean_staging()
    missing = list(_missing(workflow.dag)) if is_ok else []
    run_summary.print_summary(workflow, logger, is_ok=is_ok and not missing, missing=missing)
    event_publisher.ended()
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if missing[MOST_NAMED:] else ""
        raise FatalError(
            f"Snakemake ended this run as if all were done, but {len(missing)} of the files that it was to make are"
            f" not there: {', '.join(missing[:MOST_NAMED])}{more}",
            remedy="start the same command again: it goes on where this run ended. If it ends so once more, tell the"
            " authors",
        )


def _missing(dag: Any) -> Iterator[str]:
    """Files that this run was asked for, and that are not there.

    Snakemake 9.27.1 calls a run well as soon as no job is left to start and none has failed; with `keep-going` it does
    not ask whether some of its plan were never started (`JobScheduler.schedule`), as after a change of the plan by a
    checkpoint (`snakemake_compat.ancient_inputs` mends one such case).
    """
    from snakemake.io import is_flagged

    for file in dict.fromkeys(file for job in dag.targetjobs for file in (job.output or job.input)):
        passes = is_flagged(file, "temp") and file not in dag.targetfiles
        # What lies in a storage of its own is Snakemake's to look after.
        if not (passes or file.is_storage or Path(file).exists()):
            yield str(file)

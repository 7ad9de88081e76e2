"""Start and end of a run: functions for Snakemake's `onstart`, `onsuccess` and `onerror`."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill import cluster
from tapemill.cluster import slurm
from tapemill.config.row_fault import RowFault
from tapemill.core.errors import FatalError
from tapemill.events import run_summary
from tapemill.jobs import retry
from tapemill.planning import PLAN_RULES
from tapemill.process import abort, heartbeat, liveness, results_lease, run_lock, signals
from tapemill.snakemake_compat import persistence
from tapemill.snakemake_compat.dag_api import executor_of
from tapemill.snakemake_compat.logging_errors import hide_interrupted_jobs, silence_logging_errors
from tapemill.snakemake_compat.queue_checkpoints import plan_behind_checkpoints
from tapemill.snakemake_compat.reschedule_timer import limit_reschedule_timers
from tapemill.snakemake_compat.temp_files import remove_temp_files_early
from tapemill.storage import atomic, filesystem_checks
from tapemill.workflow import up_to_date

from . import event_publisher

SNAKEMAKE_FOLDER = Path(".snakemake")


@dataclass(frozen=True)
class PlannedOn:
    """State of the folders before Snakemake looked at any result."""

    working_folder: int | None
    results: tuple[int, int] | None


def state_before_planning() -> PlannedOn:
    """Return the state that `on_run_start` compares with that after planning."""
    return PlannedOn(run_lock.change_marker(SNAKEMAKE_FOLDER), results_lease.change_marker())


def on_run_start(workflow: Any, planned_on: PlannedOn, waiting: Collection[str]) -> None:
    """Check and lock the working folder, and install policies and handlers. Raises FatalError if the run may not start.

    Called with Snakemake's workflow after planning. `planned_on` is the result of `state_before_planning`. `waiting`
    are tapes that enter the plan later. A run that only shows the plan takes no lock, so that it can run beside another
    one, and changes nothing.
    """
    if _only_shows_plan(workflow.dag):
        liveness.begin_run()
        silence_logging_errors()
        signals.install_handlers()
        return
    filesystem_checks.check_all_filesystems(SNAKEMAKE_FOLDER)
    # Held by this process until it ends, however it ends: the kernel releases it (profiles set `nolock`).
    run_lock.acquire(SNAKEMAKE_FOLDER, planned_on.working_folder)
    tapes = {job.wildcards_dict["tape"] for job in workflow.dag.needrun_jobs() if "tape" in job.wildcards_dict}
    results_lease.acquire(sorted(tapes | set(waiting)), planned_on.results, _stop_run)
    slurm.start_slurm_run(workflow, SNAKEMAKE_FOLDER)
    persistence.fsync_records(workflow.persistence)
    persistence.remove_leftovers(SNAKEMAKE_FOLDER, workflow.dag)
    retry.install_retry_policy(workflow.scheduler)
    if workflow.non_local_exec:
        heartbeat.start(liveness.own_run().id)
        cluster.at_start(workflow)
    silence_logging_errors()
    hide_interrupted_jobs(lambda: signals.stop_signal() is not None)
    limit_reschedule_timers(workflow.scheduler)
    remove_temp_files_early(workflow.dag)
    plan_behind_checkpoints(workflow.dag)
    up_to_date.invalidate({job.wildcards_dict.get("tape", "") for job in workflow.dag.needrun_jobs()})
    signals.install_handlers(executor_of(workflow))


def _stop_run(reason: str) -> None:
    """Start no more jobs and end the running ones, because results are no longer this run's to write."""
    abort.request_abort(liveness.own_run().id, abort.AbortReason(reason, ""))
    signals.stop_running_jobs()


def _only_shows_plan(dag: Any) -> bool:
    jobs = list(dag.needrun_jobs())
    return bool(jobs) and all(job.rule.name in PLAN_RULES for job in jobs)


MAX_NAMED: Final = 10


def on_run_end(workflow: Any, logger: logging.Logger, *, is_ok: bool, faults: Sequence[RowFault] = ()) -> None:
    """Clean up, and print the summary of a run. `is_ok` is Snakemake's own verdict.

    Called with Snakemake's workflow when no job runs any more. Raises FatalError if Snakemake reports success although
    requested files do not exist, or if rows of the table of scene settings, `faults`, proved to be wrong. A process
    that does not hold the run lock has only shown a plan, and changes nothing.
    """
    if not run_lock.is_held():
        return
    atomic.clean_staging()
    missing = list(_missing_files(workflow.dag)) if is_ok else []
    run_summary.print_summary(workflow, logger, is_ok=is_ok and not missing, missing=missing)
    event_publisher.stop_event_publishing()
    results_lease.release()
    for fault in faults:
        # Without arguments: Snakemake's own log shows the message before its arguments are put in.
        logger.error(str(fault))
    if faults and is_ok:
        raise FatalError("rows of the table of scene settings apply to nothing", remedy="correct them, or remove them")
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if missing[MAX_NAMED:] else ""
        raise FatalError(
            f"Snakemake reported success, but {len(missing)} of the requested files do not exist:"
            f" {', '.join(missing[:MAX_NAMED])}{more}",
            remedy="start the same command again: it continues where this run ended. Report it to the authors if it"
            " happens again",
        )


def _missing_files(dag: Any) -> Iterator[str]:
    """Requested files that do not exist.

    Snakemake 9.27.1 reports success as soon as no job is left to start and none has failed; with `keep-going` it does
    not check for planned jobs that were never started (`JobScheduler.schedule`), for example after a checkpoint changed
    the plan (`snakemake_compat.ancient_inputs` repairs one such case).
    """
    from snakemake.io import is_flagged

    for file in dict.fromkeys(file for job in dag.targetjobs for file in (job.output or job.input)):
        passes = is_flagged(file, "temp") and file not in dag.targetfiles
        # Files in a remote storage are checked by Snakemake.
        if not (passes or file.is_storage or Path(file).exists()):
            yield str(file)

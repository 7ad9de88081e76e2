"""Slurm runs: checks before the first submission, and cancellation of jobs that a killed run left in the queue.

All jobs of a run have its name in the queue, which Snakemake's executor generates. It is recorded before the first
submission. A killed run cannot cancel its jobs, so the next one does, even if it does not use Slurm itself: the old
jobs would write, and remove after a failure, the same files.
"""

from __future__ import annotations

import atexit
import logging
import re
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import FatalError, SetupError
from tapemill.snakemake_compat.dag_api import executor_of

LOG = logging.getLogger("tapemill.cluster")

EXECUTOR: Final = "slurm"
RUN_NAMES: Final = "slurm_runs"
"""File in Snakemake's folder: names of runs that may have jobs in the queue, one a line."""
MAX_STATUS_INTERVAL_S: Final = 180
"""The longest interval at which the executor polls its jobs (2.8.0, `check_active_jobs`)."""
COMMAND_TIMEOUT_S: Final = 60.0
CANCEL_TIMEOUT_S: Final = 300.0
"""A cancelled job may take some time to end (KillWait, usually 30 s), and its node to report it."""
POLL_INTERVAL_S: Final = 0.5


def start_slurm_run(workflow: Any, folder: Path) -> None:
    """Check Slurm and cancel old jobs, at the start of a run that holds the run lock; `folder` is `.snakemake`.

    Raises SetupError if Snakemake could not find out how jobs end, FatalError if jobs of an earlier run cannot be
    cancelled.
    """
    cancel_orphans(folder / RUN_NAMES)
    if workflow.executor_plugin is None or workflow.executor_plugin.name != EXECUTOR:
        return
    check_status_command(workflow.executor_settings.status_command, _run_slurm("scontrol", "show", "config"))
    executor = executor_of(workflow)
    (folder / RUN_NAMES).write_text(f"{executor.run_uuid}\n", encoding="utf-8")
    fail_preempted_jobs(executor)
    atexit.register(remove_run_names, folder / RUN_NAMES)


def cancel_orphans(names: Path) -> None:
    """Cancel the jobs of earlier runs, whose names are in a file, and wait until they have ended."""
    runs = _read_run_names(names)
    if not runs:
        return
    remedy = f"cancel them (`scancel --name={','.join(runs)}`), remove this file, start the same command again"
    try:
        orphans = _active_job_ids(runs)
        if orphans:
            LOG.warning("cancelling jobs of an earlier run in the queue: %s", ", ".join(orphans))
            _run_slurm("scancel", f"--name={','.join(runs)}")
    except SetupError as error:
        what = f"jobs of an earlier run may be in the queue: {error.what}"
        raise FatalError(what, file=names, remedy=remedy) from error
    deadline = time.monotonic() + CANCEL_TIMEOUT_S
    while orphans:
        if time.monotonic() > deadline:
            raise FatalError(f"jobs {', '.join(orphans)} of an earlier run do not end", file=names, remedy=remedy)
        time.sleep(POLL_INTERVAL_S)
        orphans = _active_job_ids(runs)
    names.unlink()


def remove_run_names(names: Path) -> None:
    """Delete the file of run names at the end of a run, unless jobs of it are still active."""
    try:
        if not _active_job_ids(_read_run_names(names)):
            names.unlink(missing_ok=True)
    except SetupError as error:
        LOG.warning("%s", error)


def check_status_command(command: str | None, config: str) -> None:
    """Raise SetupError if `command` cannot report the end of a job: Snakemake would wait for it for ever.

    `config` is the output of `scontrol show config`.
    """
    values = dict(re.findall(r"^(\w+)\s*=\s*(\S*)", config, re.MULTILINE))
    if command == "sacct" and values.get("AccountingStorageType") in ("accounting_storage/none", "(null)"):
        raise SetupError(
            "sacct has no jobs here: this Slurm keeps no accounts",
            remedy="set slurm-status-command: squeue in the profile",
        )
    age_s = values.get("MinJobAge", "")
    if command == "squeue" and age_s.isdecimal() and int(age_s) <= MAX_STATUS_INTERVAL_S:
        raise SetupError(
            f"this Slurm forgets finished jobs after {age_s} s (MinJobAge), before squeue is asked for them",
            remedy="set slurm-status-command: sacct in the profile, or have MinJobAge set to 300 s, its default",
        )


def fail_preempted_jobs(executor: Any) -> None:
    """Report preempted jobs that are not in the queue again as failed.

    The executor (2.8.0) relies on Slurm to restart them, and waits for ever where Slurm cancels preempted jobs.
    """
    check = executor.check_active_jobs

    async def check_and_look(jobs: list[Any]) -> AsyncIterator[Any]:
        still = [job async for job in check(jobs)]
        # A job to be restarted is not listed: its state is PENDING as soon as it is preempted.
        gone = _try_slurm("squeue", "--noheader", "--states=PREEMPTED", "--format=%A", f"--name={executor.run_uuid}")
        for job in still:
            if str(job.external_jobid) in gone:
                why = f"SLURM-job '{job.external_jobid}' was preempted and is not in the queue again"
                # Snakemake does not print the message for a group.
                executor.logger.warning(why)
                executor.report_job_error(job, msg=why)
            else:
                yield job

    executor.check_active_jobs = check_and_look


def _try_slurm(*command: str) -> list[str]:
    """Words of the output of a Slurm command; none if it fails, because it is called again soon."""
    try:
        return _run_slurm(*command).split()
    except SetupError as error:
        LOG.warning("%s", error)
        return []


def _active_job_ids(runs: Sequence[str]) -> list[str]:
    """Ids of jobs that wait, run or are about to end."""
    return _run_slurm("squeue", "--noheader", "--format=%A", f"--name={','.join(runs)}").split() if runs else []


def _read_run_names(names: Path) -> list[str]:
    return names.read_text(encoding="utf-8").split() if names.exists() else []


def _run_slurm(*command: str) -> str:
    """Return the output of a Slurm command. Raises SetupError if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=COMMAND_TIMEOUT_S).stdout
    except (OSError, subprocess.SubprocessError) as error:
        message = (getattr(error, "stderr", None) or str(error)).strip()
        raise SetupError(
            f"`{' '.join(command)}` failed: {message}",
            remedy="start the run on a machine that may submit jobs; `sinfo` shows whether Slurm answers there",
        ) from error

"""A run whose jobs wait in Slurm's queue: what there is to see to before the first, and what a killed run left there.

All jobs of a run have its name in the queue, which Snakemake's executor makes up. It is written down before the first
of them is submitted. A run that is killed cannot cancel its jobs, so the next one does, wherever it computes itself:
they would write, and as they fail remove, what the new one makes.
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
NAMES: Final = "slurm_runs"
"""File in Snakemake's folder: names of runs that may have jobs in the queue, one a line."""
LONGEST_PAUSE_S: Final = 180
"""The executor asks for its jobs at least so often (2.8.0, `check_active_jobs`)."""
ANSWER_S: Final = 60.0
GONE_S: Final = 300.0
"""A cancelled job has time to end (KillWait, usually 30 s), and its node some to notice."""
PAUSE_S: Final = 0.5


def begin(workflow: Any, folder: Path) -> None:
    """Called at the start of a run, once it has the lock of its working folder; `folder` is Snakemake's own.

    Raises SetupError if Snakemake could never find out how jobs end, FatalError if jobs of an earlier run cannot be
    cancelled.
    """
    cancel_orphans(folder / NAMES)
    if workflow.executor_plugin is None or workflow.executor_plugin.name != EXECUTOR:
        return
    check_status_command(workflow.executor_settings.status_command, _ask("scontrol", "show", "config"))
    executor = executor_of(workflow)
    (folder / NAMES).write_text(f"{executor.run_uuid}\n", encoding="utf-8")
    take_preempted_for_failed(executor)
    atexit.register(forget, folder / NAMES)


def cancel_orphans(names: Path) -> None:
    """Cancel the jobs of earlier runs by the names in a file, and wait until they have ended."""
    runs = _read(names)
    if not runs:
        return
    remedy = f"cancel them (`scancel --name={','.join(runs)}`), remove this file, start the same command again"
    try:
        orphans = _jobs(runs)
        if orphans:
            LOG.warning("jobs of an earlier run are in the queue, and are cancelled: %s", ", ".join(orphans))
            _ask("scancel", f"--name={','.join(runs)}")
    except SetupError as error:
        what = f"jobs of an earlier run may be in the queue: {error.what}"
        raise FatalError(what, file=names, remedy=remedy) from error
    deadline = time.monotonic() + GONE_S
    while orphans:
        if time.monotonic() > deadline:
            raise FatalError(f"jobs {', '.join(orphans)} of an earlier run do not end", file=names, remedy=remedy)
        time.sleep(PAUSE_S)
        orphans = _jobs(runs)
    names.unlink()


def forget(names: Path) -> None:
    """At the end of a run: nothing is left to cancel, unless its last jobs have yet to end."""
    try:
        if not _jobs(_read(names)):
            names.unlink(missing_ok=True)
    except SetupError as error:
        LOG.warning("%s", error)


def check_status_command(command: str | None, config: str) -> None:
    """Raise SetupError if `command` cannot tell what has become of a job: Snakemake would wait for it for ever.

    `config` is what `scontrol show config` says.
    """
    values = dict(re.findall(r"^(\w+)\s*=\s*(\S*)", config, re.MULTILINE))
    if command == "sacct" and values.get("AccountingStorageType") in ("accounting_storage/none", "(null)"):
        raise SetupError(
            "sacct knows nothing of jobs here: this Slurm keeps no accounts",
            remedy="say slurm-status-command: squeue in the profile",
        )
    age_s = values.get("MinJobAge", "")
    if command == "squeue" and age_s.isdecimal() and int(age_s) <= LONGEST_PAUSE_S:
        raise SetupError(
            f"this Slurm forgets finished jobs after {age_s} s (MinJobAge), before squeue is asked for them",
            remedy="say slurm-status-command: sacct in the profile, or have MinJobAge set to 300 s, its default",
        )


def take_preempted_for_failed(executor: Any) -> None:
    """Let a job that made room for another, and is not in the queue again, be one that failed.

    The executor (2.8.0) leaves it to Slurm to start it again, and waits for ever where Slurm cancels such jobs.
    """
    check = executor.check_active_jobs

    async def check_and_look(jobs: list[Any]) -> AsyncIterator[Any]:
        still = [job async for job in check(jobs)]
        # squeue has none here that is to run again: its state is PENDING as soon as it is preempted.
        gone = _ask_or_wait("squeue", "--noheader", "--states=PREEMPTED", "--format=%A", f"--name={executor.run_uuid}")
        for job in still:
            if str(job.external_jobid) in gone:
                why = f"SLURM-job '{job.external_jobid}' had to make room for another, and is not in the queue again"
                # Of a group Snakemake does not tell it.
                executor.logger.warning(why)
                executor.report_job_error(job, msg=why)
            else:
                yield job

    executor.check_active_jobs = check_and_look


def _ask_or_wait(*command: str) -> list[str]:
    """Words that a program of Slurm says; none if it does not answer, since it is asked again soon."""
    try:
        return _ask(*command).split()
    except SetupError as error:
        LOG.warning("%s", error)
        return []


def _jobs(runs: Sequence[str]) -> list[str]:
    """Numbers of jobs that wait, run or are about to end."""
    return _ask("squeue", "--noheader", "--format=%A", f"--name={','.join(runs)}").split() if runs else []


def _read(names: Path) -> list[str]:
    return names.read_text(encoding="utf-8").split() if names.exists() else []


def _ask(*command: str) -> str:
    """What a program of Slurm says. Raises SetupError if it says nothing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=ANSWER_S).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise SetupError(
            f"`{' '.join(command)}` failed: {said}",
            remedy="start the run on a machine that may submit jobs; `sinfo` says whether Slurm answers there",
        ) from error

"""The Snakemake process that runs a job, or a group of jobs, in a submission of a cluster.

Scripts and workers on its machine end with it, as with the main process of a run. But it retries nothing and writes no
records of Snakemake: the main process does that. With Slurm it is started by another Snakemake process of the same
submission, which selects and watches no jobs of its own.
"""

from __future__ import annotations

import os
from typing import Any, Final

from tapemill.lanes.assignment import CORES, GPU
from tapemill.process import liveness
from tapemill.process.runtime_dirs import allocation
from tapemill.snakemake_compat.groups.records import leave_records_to_main_process
from tapemill.snakemake_compat.groups.splitting import mark_done

from .group_cleanup import all_done

GPU_JOBS: Final = 2
"""Jobs of a group that may hold its GPU, if Slurm allocates a certain one: one runs, one waits at the worker, as at a
lane of a workstation."""

# The outer process removes Slurm's own variable from the environment. See sbatch(1), "Output environment variables".
RESTART_COUNT = "SLURM_RESTART_COUNT"
RESTARTED = "TAPEMILL_RESTARTED"


def become_supervisor() -> None:
    """Make this process the supervisor of its jobs, while the Snakefile is parsed.

    Of the two processes of a submission, one inside the other, the inner one stays the supervisor.
    """
    liveness.set_supervisor()
    leave_records_to_main_process()
    if os.environ.get(RESTART_COUNT, "0") != "0":
        os.environ[RESTARTED] = "yes"


def configure_node(dag: Any) -> None:
    """Configure the process that runs the jobs of a submission, before its first job is selected.

    A failed scene must not stop the others, and only the GPU and the cores of the submission may be used, also where
    nothing confines the process to them. Snakemake does not pass these settings on.
    """
    workflow = dag.workflow
    if not (workflow.remote_exec and workflow.local_exec):
        return
    workflow.execution_settings.keep_going = True
    if workflow.global_resources.get(GPU).value is None:
        workflow.register_resource(GPU, GPU_JOBS if allocation() else 1)
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if given.isdecimal() and int(given) < workflow.global_resources.get(CORES).value:
        workflow.register_resource(CORES, int(given))
    run = liveness.current_run()
    if RESTARTED in os.environ and run is not None:
        skip_finished_jobs(dag, run.id)


def skip_finished_jobs(dag: Any, run: str) -> None:
    """Skip jobs that were finished in this run before Slurm requeued the submission."""
    mark_done(dag, all_done(list(dag.needrun_jobs()), dag.dependencies, run))

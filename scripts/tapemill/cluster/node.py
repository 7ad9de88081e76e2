"""The Snakemake process that runs a job, or a group of jobs, in a submission of a cluster.

It is the run's main process in small: scripts and workers on its machine end with it. But it tries nothing again and
keeps no records: that is left to the main process, which may be gone by then. With Slurm it is started by another
Snakemake process of the same submission, which chooses and watches no jobs of its own.
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

AT_THE_CARD: Final = 2
"""Jobs of a group that may hold its card, where Slurm says which that is: one runs, one waits at the worker, as at a
lane of a workstation."""

# Slurm's own is taken from the environment by the outer process. See sbatch(1), "Output environment variables".
RESTARTS = "SLURM_RESTART_COUNT"
RESTARTED = "TAPEMILL_RESTARTED"


def begin() -> None:
    """While the Snakefile is parsed. Of two processes of a submission, one inside the other, the inner one keeps."""
    liveness.set_supervisor()
    leave_records_to_main_process()
    if os.environ.get(RESTARTS, "0") != "0":
        os.environ[RESTARTED] = "yes"


def serve(dag: Any) -> None:
    """Before the first job of a submission is chosen, in the process that runs them.

    One scene that fails must not stop the others, the card of the submission is one, and so are its cores, also where
    nothing confines it to them. Snakemake passes nothing of that on.
    """
    workflow = dag.workflow
    if not (workflow.remote_exec and workflow.local_exec):
        return
    workflow.execution_settings.keep_going = True
    if workflow.global_resources.get(GPU).value is None:
        workflow.register_resource(GPU, AT_THE_CARD if allocation() else 1)
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if given.isdecimal() and int(given) < workflow.global_resources.get(CORES).value:
        workflow.register_resource(CORES, int(given))
    run = liveness.current_run()
    if RESTARTED in os.environ and run is not None:
        leave_out_what_is_done(dag, run.id)


def leave_out_what_is_done(dag: Any, run: str) -> None:
    """Leave out what was done in the run of this id before Slurm put the submission into its queue again."""
    mark_done(dag, all_done(list(dag.needrun_jobs()), dag.dependencies, run))

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


def leave_records_to_main_process() -> None:
    """Let files stay marked as incomplete until the main process has written its records of them.

    Snakemake (9.27.1, `PersistenceBase.finished`) takes the marks away here already, and only the main process writes
    with which settings they were made. If that is gone by then, nobody does, and changed settings would go unnoticed.
    """
    from snakemake.persistence import PersistenceBase

    async def finished(persistence: Any, job: Any) -> None:
        del persistence, job

    PersistenceBase.finished = finished


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
    """After Slurm put the submission into its queue again: do not do what was done in it before, in the run of this id.

    Snakemake starts with all of its jobs, whatever is there.
    """
    done = all_done(list(dag.needrun_jobs()), dag.dependencies, run)
    for job in done:
        for user in filter(dag.needrun, dag.depending[job]):
            dag._n_until_ready[user] -= 1
    dag._ready_jobs -= done
    dag._finished |= done
    dag.update_ready()

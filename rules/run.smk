"""
What happens around a run, rather than in a job of it. Neither `-n` nor the processes of jobs do any of this.

INPUT    the working folder as the last run left it
OUTPUT   .snakemake/tapemill.lock     who runs here; held while the run lasts
         .snakemake/attempts/         what became of the jobs of the last run
"""

from snakemake.logging import logger

from tapemill import runlock, starting, summary

PLANNED_ON = runlock.footprint(starting.FOLDER)


onstart:
    try:
        starting.begin(workflow, PLANNED_ON)
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    summary.tell(workflow, logger)


onerror:
    summary.tell(workflow, logger)

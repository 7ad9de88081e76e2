"""
What happens around a run, rather than in a job of it. Neither `-n` nor the processes of jobs do what the hooks say, and
`plan` alone, which may be asked for beside a run, changes nothing.

INPUT    the working folder as the last run left it
OUTPUT   .snakemake/tapemill.lock     who runs here; held while the run lasts
         .snakemake/attempts/         what became of the jobs of the last run
         results/.partial/            what is being written; swept before and after
         events/*.jsonl               what happened in the run, as config/schemas/event.schema.yaml says
         events/metrics.prom          the run in numbers, for Prometheus
"""

from snakemake.logging import logger

from tapemill import (
    closing,
    filesystem,
    groups,
    mainprocess,
    planning,
    runlock,
    spaceplan,
    starting,
    stopping,
    telling,
)

filesystem.require_files(workflow)
shell.prefix(stopping.PREFIX)
mainprocess.look_for_garbage_seldom()
mainprocess.ask_once_what_functions_take()
mainprocess.see_beyond_ancient_input()
# Resource functions: memory and time that a job asks of a cluster's queue.
REQUESTS = planning.Requests(planned, config, SPEECH_MODEL.path)
groups.prepare(workflow)
in_group = groups.together(workflow, planned, config)
PLANNED_ON = runlock.footprint(starting.FOLDER)


onstart:
    try:
        starting.begin(workflow, PLANNED_ON)
        spaceplan.check_run(
            workflow.dag.needrun_jobs(),
            TAPES,
            config,
            later=QUEUE.waiting,
            enhance=ENHANCE.of_tape,
            cores=workflow.cores,
        )
        planning.begin(workflow, TAPES, ENHANCE, config, later=QUEUE.waiting)
        if runlock.is_held():
            telling.begin(workflow)
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    try:
        closing.end(workflow, logger, is_ok=True)
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


onerror:
    closing.end(workflow, logger, is_ok=False)

"""
What happens around a run, rather than in a job of it. Neither `-n` nor the processes of jobs do what the hooks say.

INPUT    the working folder as the last run left it
OUTPUT   .snakemake/tapemill.lock     who runs here; held while the run lasts
         .snakemake/attempts/         what became of the jobs of the last run
         results/.partial/            what is being written; swept before and after
         events/*.jsonl               what happened in the run, as config/schemas/event.schema.yaml says
         events/metrics.prom          the run in numbers, for Prometheus
"""

from snakemake.logging import logger

from tapemill import (
    groups,
    mainprocess,
    planning,
    runlock,
    spaceplan,
    starting,
    stopping,
    summary,
    telling,
    workplace,
)

shell.prefix(stopping.PREFIX)
mainprocess.look_for_garbage_seldom()
mainprocess.see_beyond_ancient_input()
groups.prepare(workflow)
in_group = groups.together(workflow, planned, config)
PLANNED_ON = runlock.footprint(starting.FOLDER)


onstart:
    try:
        starting.begin(workflow, PLANNED_ON)
        spaceplan.check_run(
            workflow.dag.needrun_jobs(), TAPES, config, enhance=ENHANCE.of_tape, cores=workflow.cores
        )
        planning.begin(workflow, TAPES, ENHANCE, config)
        telling.begin(workflow)
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    workplace.sweep()
    summary.tell(workflow, logger, is_ok=True)
    telling.ended()


onerror:
    workplace.sweep()
    summary.tell(workflow, logger, is_ok=False)
    telling.ended()

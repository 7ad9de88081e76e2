"""
Start and end of a run. The hooks run neither with `-n` nor in processes of jobs. `show_plan` alone, which is allowed
beside a run, changes nothing.

INPUT    the working folder as the last run left it
OUTPUT   .snakemake/tapemill.lock     lock of the active run
         results/.tapemill.lease      lease of the run that writes there; one in each tape's folder, too
         .snakemake/attempts/         retry records of the jobs of the last run
         results/.partial/            files that are being written; deleted before and after
         events/*.jsonl               event log of the run (config/schemas/event.schema.yaml)
         events/metrics.prom          metrics of the run, for Prometheus
"""

from snakemake.logging import logger

from tapemill import cluster, planning
from tapemill.planning import disk_usage
from tapemill.process import run_lock, signals
from tapemill.run import event_publisher, hooks
from tapemill.snakemake_compat.planning import prepare_planning
from tapemill.snakemake_compat.version import check_version
from tapemill.storage import filesystem_checks
from tapemill.verification.as_recorded import is_as_recorded

filesystem_checks.require_files(workflow)
shell.prefix(signals.PREFIX)
try:
    check_version()
except TapemillError as error:
    raise WorkflowError(str(error)) from None
prepare_planning(sys.argv[1:], is_as_recorded)
if workflow.is_main_process:
    for note in [*RENAMED_KEYS, *map(str, SETTINGS.faults), *SETTINGS.notes]:
        logger.warning(note)
# Resource functions: memory and time that a job requests from a cluster.
CLUSTER_RESOURCES = planning.ClusterResources(job_params, config, SPEECH_MODEL.path)
cluster.at_parse(workflow)
in_group = cluster.group_function(workflow, job_params, config)
PLANNED_ON = hooks.state_before_planning()


onstart:
    try:
        hooks.on_run_start(workflow, PLANNED_ON, QUEUE.waiting)
        disk_usage.check_run(
            workflow.dag.needrun_jobs(),
            TAPES,
            config,
            later=QUEUE.waiting,
            enhance=ENHANCE.of_tape,
            cores=workflow.cores,
        )
        planning.check_before_run(workflow, TAPES, ENHANCE, config, later=QUEUE.waiting)
        if run_lock.is_held():
            event_publisher.start_event_publishing(workflow, JOB_COSTS.seconds_if_known)
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    try:
        hooks.on_run_end(workflow, logger, is_ok=True, faults=ENHANCE.late_faults)
    except TapemillError as error:
        raise WorkflowError(str(error)) from None


onerror:
    hooks.on_run_end(workflow, logger, is_ok=False, faults=ENHANCE.late_faults)

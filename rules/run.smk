"""
What happens around a run, rather than in a job of it. Neither `-n` nor the processes of jobs do any of this.

INPUT    the working folder as the last run left it
OUTPUT   .snakemake/tapemill.lock     who runs here; held while the run lasts
         results/.partial/            what is being written; swept before and after
"""

from tapemill import runlock, spaceplan, workplace


onstart:
    # Held by this process until it ends, however it ends: the kernel releases it (profiles say nolock).
    runlock.hold(Path(".snakemake"))
    workplace.sweep()
    spaceplan.check_run(workflow.dag.needrun_jobs(), TAPES, config, enhance=ENHANCE.of_tape, cores=workflow.cores)


onsuccess:
    workplace.sweep()


onerror:
    workplace.sweep()

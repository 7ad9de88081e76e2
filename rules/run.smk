"""
What happens around a run, rather than in a job of it. Neither `-n` nor the processes of jobs do what the hooks say.

INPUT    the working folder as the last run left it
OUTPUT   .snakemake/tapemill.lock     who runs here; held while the run lasts
"""

from tapemill import mainprocess, runlock

mainprocess.look_for_garbage_seldom()


onstart:
    # Held by this process until it ends, however it ends: the kernel releases it (profiles say nolock).
    runlock.hold(Path(".snakemake"))
    mainprocess.reschedule_once_a_second(workflow.scheduler)

"""Outputs of a failed group, removed by three processes (Snakemake 9.27.1, `GroupJob.postprocess`, `Job.cleanup`).

A job of a cluster fails in the process on the node, in the one around it, and in the main process. Each removes what
the job made, of a group what any of its jobs made. Only the first has to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

PATCHED: Final = "tapemill_keeps_outputs"


def keep_outputs(is_done: Callable[[Any], bool]) -> None:
    """Keep what finished jobs of a failed group made (`is_done`), and files that a job updates.

    Updated files, such as corrected subtitles, were put back by the first process.
    """
    from snakemake.io import is_flagged
    from snakemake.jobs import GroupJob, Job

    for_all, remove = GroupJob.postprocess, Job.cleanup
    if hasattr(remove, PATCHED):
        return

    async def postprocess(group: Any, error: bool = False, **options: Any) -> None:
        if not error:
            await for_all(group, error=error, **options)
            return
        for job in group.jobs:
            if not is_done(job):
                await job.postprocess(error=True, **options)

    async def cleanup(job: Any, skip_outputs: Sequence[Any]) -> None:
        kept = set(skip_outputs)
        if job.dag.workflow.non_local_exec and not job.is_local:
            kept |= {file for file in job.output if is_flagged(file, "update")}
        await remove(job, kept)

    setattr(cleanup, PATCHED, True)
    GroupJob.postprocess, Job.cleanup = postprocess, cleanup

"""Files that the process on a node has looked after already: those that submitted its job do not remove them.

A job of a cluster fails three times (Snakemake 9.27.1): in the process on the node, in the one around it, and in the
main process. Each removes what the job made, of a group what any of its jobs made. Only the first has to: where it was
killed nothing half-made has a final name.

tests/workflow/test_grouping.py fails if a new Snakemake makes this unnecessary, or impossible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tapemill.jobs import attempt_store
from tapemill.process import liveness

LEAVING: Final = "tapemill_leaving"


def leave_files_of_others() -> None:
    """Let `GroupJob.postprocess` keep what jobs of a failed group made that are done, and `Job.cleanup` updated files.

    Those, subtitles corrected by hand perhaps, the first process has put back as they were before the job.
    """
    from snakemake.io import is_flagged
    from snakemake.jobs import GroupJob, Job

    for_all, remove = GroupJob.postprocess, Job.cleanup
    if hasattr(remove, LEAVING):
        return

    async def postprocess(group: Any, error: bool = False, **how: Any) -> None:
        if not error:
            await for_all(group, error=error, **how)
            return
        run = liveness.current_run()
        for job in group.jobs:
            if run is None or not is_done(job, run.id):
                await job.postprocess(error=True, **how)

    async def cleanup(job: Any, skip_outputs: Sequence[Any]) -> None:
        kept = set(skip_outputs)
        if job.dag.workflow.non_local_exec and not job.is_local:
            kept |= {file for file in job.output if is_flagged(file, "update")}
        await remove(job, kept)

    setattr(cleanup, LEAVING, True)
    GroupJob.postprocess, Job.cleanup = postprocess, cleanup


def all_done(jobs: Collection[Any], dependencies: Mapping[Any, Collection[Any]], run: str) -> set[Any]:
    """Those jobs of a group that are done in the run with this id.

    A temporary file is gone when it was used: its maker is done if all jobs of the group are that use it.
    """
    done = {job for job in jobs if is_done(job, run)}
    users = defaultdict(list)
    for job in jobs:
        for before in dependencies[job]:
            users[before].append(job)
    return done | {job for job in jobs if users[job] and done.issuperset(users[job]) and _is_noted(job, run)}


def is_done(job: Any, run: str) -> bool:
    """Whether a job of a group left word in the run with this id that it is done, and what it made is there."""
    return _is_noted(job, run) and all(Path(file).exists() for file in job.output)


def _is_noted(job: Any, run: str) -> bool:
    return bool(job.log) and attempt_store.is_done(run, Path(job.log[0]))

"""Jobs that left the plan and stay in memory, 19 KiB each (Snakemake 9.27.1, `DAG`).

Upstream: docs/upstream/job-retention.md.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

_gone: Final = itertools.count(1)


def release_departed_jobs(dag: Any, scheduler: Any) -> None:
    """Drop the references to jobs that left the plan: Snakemake keeps every job of a run in one mapping or another.

    How many have finished, and the numbers that were given, stay as they are: small numbers take the jobs' places.
    """
    there = dag._dependencies
    for job in [job for job in dag._finished if not isinstance(job, int) and job not in there]:
        dag._finished.remove(job)
        dag._finished.add(-next(_gone))
    for job in [job for job in dag._jobid if not isinstance(job, int) and job not in there]:
        dag._jobid[-next(_gone)] = dag._jobid.pop(job)
    for book in (dag._reason, dag._priority):
        for job in [job for job in book if job not in there]:
            del book[job]
    for book in (dag._seen_outputs, dag.job_factory.cache):
        for name in [name for name, job in book.items() if job not in there]:
            del book[name]
    groups = dag.group_job_factory.cache
    for key in [key for key in groups if not key[1] <= there.keys()]:
        del groups[key]
    for names in (dag._checked_jobs, dag._checked_needrun_jobs, scheduler._validated_jobs):
        names.difference_update([job for job in names if job not in there])

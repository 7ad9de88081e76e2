"""Temporary files that stay until the last checkpoint is done (Snakemake 9.27.1, `DAG.finish`).

Upstream: docs/upstream/temp-files.md.
"""

from __future__ import annotations

from typing import Any


def remove_temp_files_early(dag: Any) -> None:
    """Remove a temporary file when its last reader is done, also while a checkpoint has yet to run.

    Snakemake keeps them until no checkpoint is left, since one might add readers. Here none does: the reader of a cut
    enters the plan together with it. While other tapes are probed, or one of them failed, cuts would fill the disk.
    """
    finish = dag.finish

    async def finish_and_remove(job: Any, *arguments: Any, **more: Any) -> Any:
        is_more_ready = await finish(job, *arguments, **more)
        put_off, dag._deferred_temp_jobs = dag._deferred_temp_jobs, []
        for each in put_off:
            await dag.handle_temp(each)
        return is_more_ready

    dag.finish = finish_and_remove

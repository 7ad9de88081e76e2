"""Records of Snakemake that a power cut can lose, and files that a killed run leaves (Snakemake 9.27.1).

Upstream: docs/upstream/persistence.md.

For each output of a running job Snakemake (9.27.1, `persistence/file.py`) keeps a marker in .snakemake/incomplete. When
the job is done it writes a record of params and input to .snakemake/metadata, then removes the marker. After `kill -9`
whatever has a marker is made again, so a job that had finished without being recorded is done twice, and a record that
was half-written is written anew. What that order does not cover is a power cut, after which the removal of a marker may
be on disk and the record not: the output would be believed, and a changed setting never noticed. And of a job that
failed, Snakemake writes the record before it removes the outputs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tapemill.storage import atomic


def fsync_records(persistence: Any) -> None:
    """Sync each marker and record before Snakemake goes on, and put a kept copy of an output back whole or not at all.

    There is no public call for this; tests/workflow/patches/test_persistence.py fails if a new Snakemake does it
    elsewhere. Another backend than files is left as it is.
    """
    if not hasattr(persistence, "_io_write"):
        return
    write, restore = persistence._io_write, persistence.restore_output

    def write_durably(subject: str, value: Any, key: str, *more: Any) -> None:
        write(subject, value, key, *more)
        atomic.sync(Path(persistence._record_path(subject, key)))

    def restore_whole(path: Path) -> bool:
        # Of files that a job updates (the subtitles of a scene) Snakemake keeps a copy until the job has ended well. If
        # it put back half of it, that would look like a correction by hand, which is never overwritten.
        backup = persistence._get_backup_path(path)
        if not backup.is_file():
            return bool(restore(path))
        with atomic.staged(path) as partial:
            shutil.copy(backup, partial)
        backup.unlink()
        return True

    persistence._io_write = write_durably
    persistence.restore_output = restore_whole


def keep_failed_outputs_marked() -> None:
    """Record nothing of a failed job, and keep its markers until its outputs are removed.

    An output that cannot be removed (its disk went read-only), or not before the run is killed, would be believed. An
    earlier version that is put back would have the new params in its record, so that nobody made it anew.
    """
    from snakemake.jobs import Job
    from snakemake.persistence import PersistenceBase

    if Job.postprocess.__name__ == "postprocess_marked":
        return
    postprocess, finished = Job.postprocess, PersistenceBase.finished
    failed: set[Any] = set()

    async def postprocess_marked(job: Any, *arguments: Any, error: bool = False, **options: Any) -> None:
        if not error:
            await postprocess(job, *arguments, **options)
            return
        workflow = job.dag.workflow
        failed.add(job)
        try:
            await postprocess(job, *arguments, error=True, **options)
        finally:
            failed.discard(job)
        if not workflow.execution_settings.keep_incomplete:
            for output in job.output:
                workflow.persistence._unmark_incomplete(workflow.persistence._get_key(output))

    async def finished_unless_failed(persistence: Any, job: Any) -> None:
        if job not in failed:
            await finished(persistence, job)

    Job.postprocess = postprocess_marked
    PersistenceBase.finished = finished_unless_failed


def remove_leftovers(folder: Path, dag: Any) -> None:
    """Remove what a killed run left in Snakemake's `folder`, and temporary results that no job of this run will read.

    Copies of outputs: the outputs themselves are whole, and an old copy could come back in place of a file that was
    deleted on purpose. Scripts: Snakemake writes one for each start of a job. Only for the holder of the run lock.
    """
    shutil.rmtree(folder / "backups", ignore_errors=True)
    shutil.rmtree(folder / "scripts", ignore_errors=True)
    for leftover in _unneeded(dag):
        # One that cannot be removed is no reason not to work.
        with suppress(OSError):
            leftover.unlink()


def _unneeded(dag: Any) -> Iterator[Path]:
    """Temporary outputs whose consumer is done: Snakemake removes them after that, unless it is killed in between."""
    from snakemake.io import is_flagged

    if dag.workflow.storage_settings.notemp:
        return
    for job in dag.jobs:
        if not dag.needrun(job):
            for output in job.output:
                is_wanted = output in dag.targetfiles or dag.is_needed_tempfile(job, output)
                if is_flagged(output, "temp") and not is_wanted:
                    yield Path(output)

"""What a run does after its last job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from . import runlock, summary, telling, workplace
from .errors import FatalError

MOST_NAMED: Final = 10


def end(workflow: Any, logger: logging.Logger, *, is_ok: bool) -> None:
    """Called with Snakemake's workflow when no job runs any more; `is_ok` is what Snakemake thinks of it.

    Raises FatalError if Snakemake calls a run well whose results are not all there. A process that does not hold the
    run lock has only looked (`starting`), and leaves all as it is.
    """
    if not runlock.is_held():
        return
    workplace.sweep()
    missing = list(_missing(workflow.dag)) if is_ok else []
    summary.tell(workflow, logger, is_ok=is_ok and not missing, missing=missing)
    telling.ended()
    if missing:
        more = f" and {len(missing) - MOST_NAMED} more" if missing[MOST_NAMED:] else ""
        raise FatalError(
            f"Snakemake ended this run as if all were done, but {len(missing)} of the files that it was to make are"
            f" not there: {', '.join(missing[:MOST_NAMED])}{more}",
            remedy="start the same command again: it goes on where this run ended. If it ends so once more, tell the"
            " authors",
        )


def _missing(dag: Any) -> Iterator[str]:
    """Files that this run was asked for, and that are not there.

    Snakemake 9.27.1 calls a run well as soon as no job is left to start and none has failed; with `keep-going` it does
    not ask whether some of its plan were never started (`JobScheduler.schedule`), as after a change of the plan by a
    checkpoint (`mainprocess.see_beyond_ancient_input` mends one such case).
    """
    from snakemake.io import is_flagged

    for file in dict.fromkeys(file for job in dag.targetjobs for file in (job.output or job.input)):
        passes = is_flagged(file, "temp") and file not in dag.targetfiles
        # What lies in a storage of its own is Snakemake's to look after.
        if not (passes or file.is_storage or Path(file).exists()):
            yield str(file)

"""Marks of incomplete files, removed before there are records (Snakemake 9.27.1, `PersistenceBase.finished`)."""

from __future__ import annotations

from typing import Any


def leave_records_to_main_process() -> None:
    """Keep files marked as incomplete until the main process has written its records of them.

    Snakemake removes the marks in the process on the node already, and only the main process writes with which settings
    the files were made. If that is gone by then, nothing does, and changed settings would go unnoticed.
    """
    from snakemake.persistence import PersistenceBase

    async def finished(persistence: Any, job: Any) -> None:
        del persistence, job

    PersistenceBase.finished = finished

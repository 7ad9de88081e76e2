"""Retries of a single job, which no public call ends (Snakemake 9.27.1, `JobScheduler._handle_error`).

Upstream: docs/upstream/retries.md.
"""

from __future__ import annotations

from typing import Any


def stop_retries(job: Any) -> None:
    """Let a job, or a group of jobs, that failed not be tried again.

    Snakemake compares the attempt with `restart_times` and nothing else. If a later version keeps it elsewhere, the
    next attempts end at once with the same error.
    """
    job._attempt = job.restart_times + 1

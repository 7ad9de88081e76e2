"""A plan as an object, and the executor of a run, which no public call returns (Snakemake 9.27.1, `api.DAGApi`).

Upstream: docs/upstream/dag-api.md.
"""

from __future__ import annotations

from typing import Any


def workflow_of(api: Any) -> Any:
    """The workflow of a `WorkflowApi`, with the Snakefile read."""
    return api._workflow


def build_dag(workflow: Any) -> Any:
    """Snakemake's graph, built as its command line builds one, but for the dry run of each job after it."""
    workflow._prepare_dag(forceall=False, ignore_incomplete=False, lock_warn_only=True, nolock=True)
    workflow._build_dag()
    return workflow.dag


def executor_of(workflow: Any) -> Any:
    """The executor plugin of a run that is about to start its first job."""
    return workflow.scheduler._executor


def scheduler_settings_of(scheduler: Any) -> Any:
    """Settings of the scheduler plugin behind Snakemake's `JobScheduler`; None without a plugin."""
    return getattr(getattr(scheduler, "_scheduler", None), "settings", None)

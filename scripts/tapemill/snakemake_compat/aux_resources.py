"""Resources that a scheduler adds to a job and that stay for its next attempt (Snakemake 9.27.1, `Job`).

Upstream: docs/upstream/aux-resources.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def remove_aux_resources(job: Any, is_ours: Callable[[str], bool]) -> None:
    """Remove the added resources whose names are `is_ours`: Snakemake keeps them, and refuses to add them twice."""
    added = getattr(job, "_aux_resources", None)
    if added:
        for name in [name for name in added if is_ours(name)]:
            del added[name]
        job._resources = None
        job._scheduler_resources = None

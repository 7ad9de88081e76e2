"""Jobs behind an `ancient` input that a running job has written (Snakemake 9.27.1, `DAG.update_needrun`).

Upstream: "ancient not working with checkpoints" (snakemake#2962); docs/upstream/ancient-inputs.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def patch_needrun_across_ancient() -> None:
    """Check jobs for reasons of their own to run if they need an existing file as `ancient` from a job that is to run.

    Snakemake checks neither such jobs nor those after them: it assumes that they run because the job before them does,
    but an existing `ancient` file is no reason to run. If a checkpoint ends at that moment, all remaining jobs of a
    tape are dropped, and the run ends as if it were done.
    """
    from snakemake.dag import DAG

    original = DAG.bfs
    if original.__name__ == "reached":
        return

    def reached(dag: Any, direction: Any, *jobs: Any, **how: Any) -> Iterator[Any]:
        # Any other use of the search.
        if direction is not dag.depending or how or dag.omitrules or dag.omitfiles:
            yield from original(dag, direction, *jobs, **how)
            return
        queue, seen = deque(jobs), set(jobs)
        while queue:
            job = queue.popleft()
            yield job
            for after, files in direction[job].items():
                if after not in seen and not all(file.is_ancient and Path(file).exists() for file in files):
                    seen.add(after)
                    queue.append(after)

    DAG.bfs = reached

"""What is left to do of the tapes in Snakemake's plan, while a run works on it (9.27.1, `snakemake/dag.py`)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any


class Left:
    """By tape, at this moment."""

    def __init__(self, workflow: Any) -> None:
        dag, scheduler = workflow.dag, workflow.scheduler
        known: defaultdict[str, set[str]] = defaultdict(set)
        for job in dag.needrun_jobs():
            if tape := job.wildcards_dict.get("tape"):
                known[tape].update(filter(None, [job.wildcards_dict.get("scene")]))
        self.scenes = {tape: len(scenes) for tape, scenes in known.items()}
        """Scenes with something to do, by tape; 0 if only jobs of the whole tape are left, or known."""
        self.unknown = {job.wildcards_dict["tape"] for job in dag.checkpoint_jobs}
        """Tapes whose scenes are not found yet."""
        going = [each for job in (*dag.ready_jobs, *scheduler.running) for each in (job if job.is_group() else [job])]
        self.alive = {job.wildcards_dict.get("tape") for job in going}
        if any(job.wildcards_dict.get("tape") is None and not job.rule.norun for job in going):
            # A job of no tape, such as the demo's capture: all may wait for it.
            self.alive.update(self.scenes)

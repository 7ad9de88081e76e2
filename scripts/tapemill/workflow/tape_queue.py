"""Queue of tapes: the tapes that `all` requests at a time.

Snakemake plans every job of every requested tape, and plans again whenever a checkpoint ends. So `all` requests a few
tapes; as they end they leave the plan and others enter, in the same run. This is Snakemake's own `from_queue`: it calls
the input function of a rule flagged so again every few seconds (`queue-input-wait-time`) until its queue object is
`finished`. Snakemake's own queue object can only add tapes.

A tape that has ended enters once more and is planned from scratch: corrections made meanwhile are seen, and a tape with
nothing to do is marked as up to date. This is for archives; if all tapes fit into one plan, they are in it from the
start.
"""

from __future__ import annotations

import atexit
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tapemill.process import abort, liveness
from tapemill.snakemake_compat.job_retention import release_departed_jobs

from . import up_to_date
from .tape import TapeState
from .up_to_date import TapeDigest

DRY_RUN_FACTOR: Final = 5
"""Factor by which a dry run plans more scenes than a run: it makes one plan, not one for each checkpoint."""
MAX_CHECKS: Final = 3
"""Times that a tape is planned in a run. If jobs of it run each time, for whatever reason, the queue still goes on."""

_restricted_to: Collection[str] | None = None


@contextmanager
def restrict_to(tapes: Collection[str]) -> Iterator[None]:
    """Restrict plans made in this block to these tapes, all of them at once, up to date or not."""
    global _restricted_to  # noqa: PLW0603  the Snakefile that is parsed in the block sees it
    _restricted_to = tapes
    try:
        yield
    finally:
        _restricted_to = None


@dataclass
class TapeQueue:
    """Queue object of Snakemake (`QueueInfo`), with functions for rules."""

    workflow: Any
    tapes: Mapping[str, TapeState]
    targets: Callable[[str], Sequence[str]]
    """Files that `all` requests of a tape."""
    final_targets: Callable[[], Sequence[str]]
    """Files that `all` requests when all tapes are finished."""
    settings: Callable[[str], Mapping[str, Any]]
    """Values other than files on which the jobs of a tape depend."""
    limits: Mapping[str, int]
    """The section `queue` of the config."""
    log: Callable[[str], object]
    """Log a line for the operator."""
    finished: bool = False
    """Whether no more tapes will enter."""
    last_checked: float = 0.0
    """Required by Snakemake; unused here."""
    waiting: list[str] = field(default_factory=list)
    """Tapes that have not entered yet, in order."""
    _planned: dict[str, TapeDigest | None] | None = None
    """Tapes in the plan, with their digests from before they were planned."""
    _checks: Counter[str] = field(default_factory=Counter)
    _broken: bool = False
    """Whether tapes are missing for good in this run."""

    def __hash__(self) -> int:
        """Hash by identity: Snakemake keeps the queue in a set."""
        return id(self)

    def consume(self, _wildcards: Any) -> list[str]:
        """Files that `all` requests now: Snakemake's input function."""
        if self._planned is None:
            self._plan_first()
        elif not self.finished:
            self._advance()
        is_whole = self.finished and not self.waiting and not self._broken and _restricted_to is None
        last = self.final_targets() if is_whole else ()
        return [*(file for tape in self._planned or () for file in self.targets(tape)), *last]

    @cached_property
    def up_to_date_tapes(self) -> Mapping[str, TapeDigest]:
        """Tapes that are not planned in this run, with their digests. Empty unless jobs are to run."""
        return {} if not self._is_run or self._is_forced else self.unchanged()

    def unchanged(self) -> dict[str, TapeDigest]:
        """Tapes for which Snakemake found nothing to do at its last plan, and which have not changed since."""
        interrupted_tapes = {Path(name).parts[1] for name in up_to_date.interrupted() if len(Path(name).parts) > 1}
        records = {
            tape: digest
            for tape in self.tapes
            if tape not in interrupted_tapes and (digest := up_to_date.read_digest(tape))
        }
        return {tape: digest for tape, digest in records.items() if digest == self._digest(tape)}

    def planned(self, tapes: Iterable[str]) -> list[str]:
        """Return those of some tapes whose jobs are in the plan."""
        return [tape for tape in tapes if not self._is_skipped(tape)]

    def skipped(self, tapes: Iterable[str]) -> list[str]:
        """Return those of some tapes whose results are used as they are, without planning."""
        return [tape for tape in tapes if self._is_skipped(tape)]

    def _is_skipped(self, tape: str) -> bool:
        return tape in self.up_to_date_tapes if self._planned is None else tape not in self._planned

    def batches(self) -> list[list[str]]:
        """Divide all changed tapes into batches that can be planned at once."""
        parts: list[list[str]] = [[]]
        unchanged, scenes = self.unchanged(), 0
        for tape in (tape for tape in self.tapes if tape not in unchanged):
            if scenes >= self.limits["scenes"]:
                parts.append([])
                scenes = 0
            parts[-1].append(tape)
            scenes += self.tapes[tape].estimate_scene_count()
        return parts

    @property
    def _is_run(self) -> bool:
        """Whether jobs are to run, or would without `-n`: not if Snakemake lists, draws, reports or touches.

        Nor if jobs beyond a rule are omitted, because no tape would end, nor in the process of a job.
        """
        flow = self.workflow
        chosen = flow.dag_settings
        cut_short = bool(chosen.until or chosen.omit_from or chosen.batch)
        is_execution = flow.is_main_process and flow.execution_settings is not None
        return is_execution and not flow.touch and not cut_short and _restricted_to is None

    @cached_property
    def _pause_s(self) -> int:
        """Snakemake's setting of the interval between two calls of the input function."""
        return int(self.workflow.execution_settings.queue_input_wait_time)

    @property
    def _is_forced(self) -> bool:
        chosen = self.workflow.dag_settings
        return bool(chosen.forceall or chosen.forcerun or chosen.forcetargets)

    def _plan_first(self) -> None:
        """Select the tapes of the first plan."""
        self._planned = {}
        if not self._is_run:
            self._planned = dict.fromkeys(
                self.tapes if _restricted_to is None else [t for t in self.tapes if t in _restricted_to]
            )
            self.finished = True
            return
        self.waiting = sorted((tape for tape in self.tapes if tape not in self.up_to_date_tapes), key=self._priority)
        most = self.limits["scenes"] * (DRY_RUN_FACTOR if self.workflow.dryrun else 1)
        scenes = 0
        while self.waiting and (self.workflow.dryrun or len(self._planned) < self.limits["tapes"]) and scenes < most:
            scenes += self.tapes[self.waiting[0]].estimate_scene_count()
            self._enter()
        self._log_queue()
        self.finished = self.workflow.dryrun or not self.waiting
        if not self.workflow.dryrun:
            # Snakemake calls no hook if there is nothing to do.
            atexit.register(self._mark_up_to_date)

    def _advance(self) -> None:
        """Remove tapes that have ended, or in which no job can run any more, and let others enter."""
        assert self._planned is not None
        pause_s = self._pause_s
        release_departed_jobs(self.workflow.dag, self.workflow.scheduler)
        remaining = RemainingWork(self.workflow)
        self._mark_up_to_date()
        if self.waiting and abort.abort_reason(liveness.own_run().id):
            self._broken = True
            self.waiting.clear()
        ended = [tape for tape in self._planned if tape not in remaining.scenes]
        stuck = [tape for tape in self._planned if tape in remaining.scenes and tape not in remaining.alive]
        going = [tape for tape in self._planned if tape not in ended and tape not in stuck]
        # Finished tapes are planned one after the other, without a pause.
        self.workflow.execution_settings.queue_input_wait_time = pause_s if going else 0
        scenes = sum(
            self.tapes[tape].estimate_scene_count() if tape in remaining.unknown else remaining.scenes[tape]
            for tape in going
        )
        may_enter = len(going) < self.limits["tapes"] and scenes < self.limits["scenes"]
        if not may_enter or not (self.waiting or ended or stuck):
            return
        self._leave(ended, stuck)
        while self.waiting and len(self._planned) < self.limits["tapes"] and scenes < self.limits["scenes"]:
            if self.waiting[0] in (*ended, *stuck):
                # Snakemake must plan without it before it can enter again.
                break
            scenes += self.tapes[self.waiting[0]].estimate_scene_count()
            self._enter()
        self.finished = not self._planned and not self.waiting

    def _leave(self, ended: Sequence[str], stuck: Sequence[str]) -> None:
        assert self._planned is not None
        # Forced jobs would be forced again.
        again, most_looks = [], 1 if self._is_forced else MAX_CHECKS
        for tape in (*ended, *stuck):
            digest = self._planned.pop(tape)
            if tape in stuck:
                self._broken = True
            elif self._checks[tape] < most_looks and digest is not None and up_to_date.read_digest(tape) != digest:
                again.append(tape)
        self.waiting[:0] = again

    def _enter(self) -> None:
        assert self._planned is not None
        tape = self.waiting.pop(0)
        self._checks[tape] += 1
        # Taken before Snakemake plans: later changes will be noticed.
        self._planned[tape] = self._digest(tape)

    def _mark_up_to_date(self) -> None:
        """Mark planned tapes without anything to do as up to date."""
        dag = getattr(self.workflow, "_dag", None)
        if dag is None or self.workflow.scheduler is None or self._planned is None:
            return
        busy = {job.wildcards_dict.get("tape") for jobs in (dag.needrun_jobs(), dag.finished_jobs) for job in jobs}
        there = {job.wildcards_dict.get("tape") for job in dag.jobs}
        for tape, state in self._planned.items():
            if state is not None and tape in there and tape not in busy and tape not in self.up_to_date_tapes:
                up_to_date.write_digest(tape, state)

    def _log_queue(self) -> None:
        assert self._planned is not None
        if self.up_to_date_tapes:
            self.log(f"Tapes that are finished and unchanged: {len(self.up_to_date_tapes)} of {len(self.tapes)}")
        if self.waiting:
            some = ", ".join(self.waiting[:5]) + (" …" if len(self.waiting) > 5 else "")
            self.log(f"Tapes in the queue, which enter as others end: {len(self.waiting)} ({some})")

    def _priority(self, tape: str) -> tuple[int, int]:
        """Sort key: started tapes first, then new ones, last those that seem finished; else in the sheet's order."""
        tape_state = self.tapes[tape]
        is_made = all(Path(file).exists() for file in self.targets(tape))
        return 2 if is_made else 0 if tape_state.paths.capture_record.exists() else 1, list(self.tapes).index(tape)

    def _digest(self, tape: str) -> TapeDigest | None:
        return up_to_date.digest_of(self.tapes[tape], {**self.settings(tape), **self._common})

    @cached_property
    def _common(self) -> Mapping[str, Any]:
        triggers = sorted(trigger.name for trigger in self.workflow.rerun_triggers)
        return {"program": up_to_date.code_digest(), "triggers": triggers}


class RemainingWork:
    """Remaining work of the plan by tape, at this moment."""

    def __init__(self, workflow: Any) -> None:
        dag, scheduler = workflow.dag, workflow.scheduler
        known: defaultdict[str, set[str]] = defaultdict(set)
        for job in dag.needrun_jobs():
            if tape := job.wildcards_dict.get("tape"):
                known[tape].update(filter(None, [job.wildcards_dict.get("scene")]))
        self.scenes = {tape: len(scenes) for tape, scenes in known.items()}
        """Number of scenes with jobs to do, by tape; 0 if only jobs of the whole tape are left, or known."""
        self.unknown = {job.wildcards_dict["tape"] for job in dag.checkpoint_jobs}
        """Tapes whose scenes are not found yet."""
        going = [each for job in (*dag.ready_jobs, *scheduler.running) for each in (job if job.is_group() else [job])]
        self.alive = {job.wildcards_dict.get("tape") for job in going}
        if any(job.wildcards_dict.get("tape") is None and not job.rule.norun for job in going):
            # A job of no tape, such as `make_demo_capture`: all tapes may wait for it.
            self.alive.update(self.scenes)

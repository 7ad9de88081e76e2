"""The queue of tapes: which tapes `all` asks for at a time.

Snakemake plans every job of every tape it is asked for, and plans anew whenever a checkpoint ends. So `all` asks for a
few tapes; as they come to their end they leave the plan and others enter, in the same run. This is Snakemake's own
`from_queue`: of a rule whose input is flagged so, it asks the input function again every few seconds
(`queue-input-wait-time`) until the object behind it says `finished`. Its own object for that can only add.

A tape that has come to its end enters once more, to be judged anew from nothing: what somebody corrected meanwhile is
still seen to, and what needs nothing is `settled`. All this is for archives; where all tapes fit into one plan, they
are in it from the start, and nothing else happens than ever did.
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
from .up_to_date import State

DRY_SCENES: Final = 5
"""A dry run plans so many times the scenes of a run: it makes one plan, not one for each checkpoint."""
MOST_LOOKS: Final = 3
"""So often a tape is judged anew in a run. Whatever makes it run again each time, the queue goes on."""

_only: Collection[str] | None = None


@contextmanager
def only(tapes: Collection[str]) -> Iterator[None]:
    """Plans made in this block are of these tapes, all of them at once, whether they are settled or not."""
    global _only  # noqa: PLW0603  the Snakefile that is parsed in the block sees it
    _only = tapes
    try:
        yield
    finally:
        _only = None


@dataclass
class TapeQueue:
    """The queue, as Snakemake sees it (its `QueueInfo`), and what rules ask of it."""

    workflow: Any
    lookups: Mapping[str, TapeState]
    wanted: Callable[[str], Sequence[str]]
    """What `all` asks for of a tape."""
    last: Callable[[], Sequence[str]]
    """What `all` asks for when all tapes are made."""
    settings: Callable[[str], Mapping[str, Any]]
    """What the jobs of a tape depend on besides files."""
    limits: Mapping[str, int]
    """The section `queue` of the config."""
    say: Callable[[str], object]
    """Tells the operator a line."""
    finished: bool = False
    """Whether no more tapes will enter."""
    last_checked: float = 0.0
    """Snakemake's; nothing uses it here."""
    waiting: list[str] = field(default_factory=list)
    """Tapes that have yet to enter, in order."""
    _inside: dict[str, State | None] | None = None
    """Tapes in the plan, with their state from before they were planned."""
    _looks: Counter[str] = field(default_factory=Counter)
    _broken: bool = False
    """Whether tapes are missing for good in this run."""

    def __hash__(self) -> int:
        """Snakemake keeps it in a set."""
        return id(self)

    def consume(self, _wildcards: Any) -> list[str]:
        """What `all` asks for now: Snakemake's input function."""
        if self._inside is None:
            self._begin()
        elif not self.finished:
            self._advance()
        is_whole = self.finished and not self.waiting and not self._broken and _only is None
        last = self.last() if is_whole else ()
        return [*(file for tape in self._inside or () for file in self.wanted(tape)), *last]

    @cached_property
    def settled(self) -> Mapping[str, State]:
        """Tapes that need not be looked at in this run, with their states. None for anything but a run of jobs."""
        return {} if not self._is_run or self._is_forced else self.unchanged()

    def unchanged(self) -> dict[str, State]:
        """Tapes that Snakemake found nothing to do for when it looked last, and of which nothing changed since."""
        begun = {Path(name).parts[1] for name in up_to_date.interrupted() if len(Path(name).parts) > 1}
        records = {tape: was for tape in self.lookups if tape not in begun and (was := up_to_date.read(tape))}
        return {tape: was for tape, was in records.items() if was == self._state(tape)}

    def taken_in(self, tapes: Iterable[str]) -> list[str]:
        """Those of some tapes whose jobs are in the plan."""
        return [tape for tape in tapes if not self._is_left_out(tape)]

    def left_out(self, tapes: Iterable[str]) -> list[str]:
        """The others: what was made of them is taken as it is."""
        return [tape for tape in tapes if self._is_left_out(tape)]

    def _is_left_out(self, tape: str) -> bool:
        return tape in self.settled if self._inside is None else tape not in self._inside

    def batches(self) -> list[list[str]]:
        """All tapes that are not unchanged, in parts that make a plan of bearable size each."""
        parts: list[list[str]] = [[]]
        unchanged, scenes = self.unchanged(), 0
        for tape in (tape for tape in self.lookups if tape not in unchanged):
            if scenes >= self.limits["scenes"]:
                parts.append([])
                scenes = 0
            parts[-1].append(tape)
            scenes += self.lookups[tape].about_scenes()
        return parts

    @property
    def _is_run(self) -> bool:
        """Whether jobs are to run, or would but for `-n`: not where Snakemake lists, draws, reports or touches.

        Nor where jobs beyond a rule are left out, since no tape would come to its end, nor in the process of a job.
        """
        flow = self.workflow
        chosen = flow.dag_settings
        cut_short = bool(chosen.until or chosen.omit_from or chosen.batch)
        is_execution = flow.is_main_process and flow.execution_settings is not None
        return is_execution and not flow.touch and not cut_short and _only is None

    @cached_property
    def _pause_s(self) -> int:
        """How long Snakemake was told to wait before it asks again."""
        return int(self.workflow.execution_settings.queue_input_wait_time)

    @property
    def _is_forced(self) -> bool:
        chosen = self.workflow.dag_settings
        return bool(chosen.forceall or chosen.forcerun or chosen.forcetargets)

    def _begin(self) -> None:
        """The first plan."""
        self._inside = {}
        if not self._is_run:
            self._inside = dict.fromkeys(self.lookups if _only is None else [t for t in self.lookups if t in _only])
            self.finished = True
            return
        self.waiting = sorted((tape for tape in self.lookups if tape not in self.settled), key=self._turn)
        most = self.limits["scenes"] * (DRY_SCENES if self.workflow.dryrun else 1)
        scenes = 0
        while self.waiting and (self.workflow.dryrun or len(self._inside) < self.limits["tapes"]) and scenes < most:
            scenes += self.lookups[self.waiting[0]].about_scenes()
            self._enter()
        self._tell()
        self.finished = self.workflow.dryrun or not self.waiting
        if not self.workflow.dryrun:
            # Where nothing is to do Snakemake calls no hook.
            atexit.register(self._settle)

    def _advance(self) -> None:
        """Let tapes leave that have come to their end, or to where nothing goes on, and others enter."""
        assert self._inside is not None
        pause_s = self._pause_s
        release_departed_jobs(self.workflow.dag, self.workflow.scheduler)
        left = Left(self.workflow)
        self._settle()
        if self.waiting and abort.abort_reason(liveness.own_run().id):
            self._broken = True
            self.waiting.clear()
        ended = [tape for tape in self._inside if tape not in left.scenes]
        stuck = [tape for tape in self._inside if tape in left.scenes and tape not in left.alive]
        going = [tape for tape in self._inside if tape not in ended and tape not in stuck]
        # Finished tapes are judged one after the other, without a pause.
        self.workflow.execution_settings.queue_input_wait_time = pause_s if going else 0
        scenes = sum(self.lookups[tape].about_scenes() if tape in left.unknown else left.scenes[tape] for tape in going)
        may_enter = len(going) < self.limits["tapes"] and scenes < self.limits["scenes"]
        if not may_enter or not (self.waiting or ended or stuck):
            return
        self._leave(ended, stuck)
        while self.waiting and len(self._inside) < self.limits["tapes"] and scenes < self.limits["scenes"]:
            if self.waiting[0] in (*ended, *stuck):
                # Snakemake has to see it leave before it can see it enter.
                break
            scenes += self.lookups[self.waiting[0]].about_scenes()
            self._enter()
        self.finished = not self._inside and not self.waiting

    def _leave(self, ended: Sequence[str], stuck: Sequence[str]) -> None:
        assert self._inside is not None
        # What is forced would be forced again.
        again, most_looks = [], 1 if self._is_forced else MOST_LOOKS
        for tape in (*ended, *stuck):
            was = self._inside.pop(tape)
            if tape in stuck:
                self._broken = True
            elif self._looks[tape] < most_looks and was is not None and up_to_date.read(tape) != was:
                again.append(tape)
        self.waiting[:0] = again

    def _enter(self) -> None:
        assert self._inside is not None
        tape = self.waiting.pop(0)
        self._looks[tape] += 1
        # Before Snakemake looks: what changes after this will be seen to be new.
        self._inside[tape] = self._state(tape)

    def _settle(self) -> None:
        """Remember the tapes of the plan for which it had nothing to do."""
        dag = getattr(self.workflow, "_dag", None)
        if dag is None or self.workflow.scheduler is None or self._inside is None:
            return
        busy = {job.wildcards_dict.get("tape") for jobs in (dag.needrun_jobs(), dag.finished_jobs) for job in jobs}
        there = {job.wildcards_dict.get("tape") for job in dag.jobs}
        for tape, state in self._inside.items():
            if state is not None and tape in there and tape not in busy and tape not in self.settled:
                up_to_date.write(tape, state)

    def _tell(self) -> None:
        assert self._inside is not None
        if self.settled:
            self.say(f"Tapes that are finished and unchanged: {len(self.settled)} of {len(self.lookups)}")
        if self.waiting:
            some = ", ".join(self.waiting[:5]) + (" …" if len(self.waiting) > 5 else "")
            self.say(f"Tapes in the queue, which enter as others end: {len(self.waiting)} ({some})")

    def _turn(self, tape: str) -> tuple[int, int]:
        """What was begun comes first, then what was not, last what looks finished; else in the sheet's order."""
        lookup = self.lookups[tape]
        is_made = all(Path(file).exists() for file in self.wanted(tape))
        return 2 if is_made else 0 if lookup.paths.capture_record.exists() else 1, list(self.lookups).index(tape)

    def _state(self, tape: str) -> State | None:
        return up_to_date.state(self.lookups[tape], {**self.settings(tape), **self._common})

    @cached_property
    def _common(self) -> Mapping[str, Any]:
        triggers = sorted(trigger.name for trigger in self.workflow.rerun_triggers)
        return {"program": up_to_date.program(), "triggers": triggers}


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

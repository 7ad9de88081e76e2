"""Scheduler `lanes`: hands each job that asks for a card (`gpu=1`) a free one. Other jobs go to the greedy scheduler.

The profile declares the cards as global resources (`gpu0: 2`, `gpu1: 2`). Which job goes where is decided in
`tapemill.lanes.assignment`; here that is told to Snakemake, as three resources that are added to the job: the card
itself, so that Snakemake's accounting holds it until the job ends, `lane_device` and `lane_warm` for the job script.

Every start of Snakemake imports this, whatever scheduler it uses: nothing heavy may be imported here.
"""

# No `from __future__ import annotations`: Snakemake makes options of the fields' types, and cannot read them as text.
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from snakemake.scheduling import greedy
from snakemake_interface_common.exceptions import WorkflowError

from tapemill.devices.device import KINDS
from tapemill.jobs.retry import rests
from tapemill.lanes.assignment import (
    CORES,
    EXPECTED_S,
    GPU,
    LANE_DEVICE,
    LANE_WARM,
    MAX_LANES,
    Assignment,
    Wish,
    assign,
)
from tapemill.lanes.backpressure import BACKLOG, BACKLOG_LIMIT, UNLIMITED, Waiting
from tapemill.lanes.ledger import Ledger

from .check import CardCheck
from .declared import lanes_of_profile
from .jobs import LANE, asks_for_card, forget_lane, key_of, needs_of, whole


@dataclass
class SchedulerSettings(greedy.SchedulerSettings):
    """The options `--scheduler-lanes-…`, which are profile keys as well; those of the greedy scheduler among them."""

    device: str = field(
        default="cpu",
        metadata={
            "help": f"Kind of the cards gpu0, gpu1, ... that the profile declares: {', '.join(KINDS)}. Lanes of kind "
            "cpu behave like cards, and compute on the processor.",
            "metavar": "KIND",
        },
    )
    cold: bool = field(
        default=False,
        metadata={"help": "Start each job of a lane in a process of its own instead of in the lane's warm worker."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device not in KINDS:
            raise WorkflowError(
                f"--scheduler-lanes-device (in a profile: scheduler-lanes-device) is {self.device!r}, which is no "
                f"known kind of card\n  what to do: take one of {', '.join(KINDS)}"
            )


class Scheduler(greedy.Scheduler):
    """Jobs with a card first, the others with what is left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        workflow: Any = getattr(self.dag, "workflow", None)
        declared = lanes_of_profile(sys.argv[1:], os.environ) if workflow is not None else {}
        for name, most in declared.items():
            if LANE.fullmatch(name) and name not in workflow.global_resources:
                workflow.register_resource(name, most)
        if workflow is not None and any(BACKLOG in rule.resources for rule in workflow.rules):
            workflow.register_resource(BACKLOG, UNLIMITED)
        if workflow is not None and workflow.remote_exec:
            from tapemill.cluster import node  # its Snakefile has imported it

            node.serve(self.dag)
        self._waiting = Waiting()
        self._made_ahead: dict[str, bool] = {}
        self._total: dict[str, int] = {}
        self._ledger = Ledger()
        self._running: dict[str, Any] = {}
        self._check: CardCheck | None = None

    def select_jobs(
        self,
        selectable_jobs: Sequence[Any],
        remaining_jobs: Sequence[Any],
        available_resources: Mapping[str, int | str],
        input_sizes: dict[Any, int],
    ) -> Sequence[Any]:
        """Choose the jobs that start now. Only they get resources added; no other job learns of a lane."""
        free = {name: amount for name, amount in available_resources.items() if isinstance(amount, int)}
        # Nothing runs yet when Snakemake asks first, so that all there is is free.
        self._total = {name: max(amount, self._total.get(name, 0)) for name, amount in free.items()}
        lanes = {name: most for name, most in self._total.items() if LANE.fullmatch(name) and most > 0}
        ready = [job for job in selectable_jobs if not rests(job)]
        asking, others = self._split(ready)
        if self.settings.device != "cpu":
            self._look_for_cards(
                lanes, {str(job.rule.name) for job in [*asking.values(), *filter(asks_for_card, remaining_jobs)]}
            )
        others, held = self._not_too_far_ahead(others, remaining_jobs, free)
        chosen = self._choose(asking, others, remaining_jobs, available_resources, input_sizes, free, lanes)
        if held and not chosen and len(ready) == len(selectable_jobs) and free.get(CORES) == self._total.get(CORES):
            # Snakemake would wait for ever.
            self._waiting.give_up()
            others, _ = self._not_too_far_ahead([*others, *held], remaining_jobs, free)
            chosen = self._choose(asking, others, remaining_jobs, available_resources, input_sizes, free, lanes)
        return chosen

    def _choose(
        self,
        asking: Mapping[str, Any],
        others: Sequence[Any],
        remaining: Sequence[Any],
        available: Mapping[str, int | str],
        input_sizes: dict[Any, int],
        free: Mapping[str, int],
        lanes: Mapping[str, int],
    ) -> list[Any]:
        """Jobs for lanes, and by the greedy scheduler those that need none; without lanes all are the latter's."""
        if not lanes:
            ready = [*asking.values(), *others]
            return list(super().select_jobs(ready, remaining, available, input_sizes) if ready else ())
        plan = self._assign(asking, others, free, lanes, input_sizes)
        if plan.placed and self._check is not None:
            self._check.wait()
        chosen = [self._give(asking[wish.key], wish, lane) for wish, lane in plan.placed]
        left = {name: plan.left.get(name, amount) for name, amount in available.items()}
        return chosen + list(super().select_jobs(others, remaining, left, input_sizes) if others else ())

    def _not_too_far_ahead(
        self, jobs: Sequence[Any], remaining: Sequence[Any], free: Mapping[str, int]
    ) -> tuple[list[Any], list[Any]]:
        """Jobs that may start now, and those held back because enough of what they make waits to be used."""
        making = [job for job in jobs if hasattr(job, "rule") and whole(job.scheduler_resources, BACKLOG) > 0]
        limits = [most for job in making if (most := whole(job.scheduler_resources, BACKLOG_LIMIT)) > 0]
        if not limits:
            return list(jobs), []
        room = self._waiting.room(
            self._files_waiting(making, remaining),
            running=self._total[BACKLOG] - free[BACKLOG],
            at_most=min(limits),
        )
        # In the order of the sheet's names and of the tape: what was begun is finished first.
        making.sort(key=key_of)
        held = {id(job) for job in making[room:]}
        return [job for job in jobs if id(job) not in held], making[room:]

    def _files_waiting(self, making: Sequence[Any], remaining: Sequence[Any]) -> list[str]:
        """Files of the rules of `making` that are there, and whose job has not begun.

        A job that failed for good does not count. Quick: asked for thousands of files, several times a second.
        """
        rules = {job.rule for job in making}
        known, unmade = self._made_ahead, {name for job in making for name in map(str, job.output)}
        waiting = []
        for job in remaining:
            for name in map(str, job.input):
                if name not in known:
                    known[name] = any(rule.is_producer(name) for rule in rules)
                if known[name] and name not in unmade and os.path.exists(name):  # noqa: PTH110
                    waiting.append(name)
        return waiting

    def _split(self, jobs: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Jobs that ask for a card, by key, and all others. No lane of an earlier attempt is on them any more."""
        asking, others = {}, []
        for job in jobs:
            single = hasattr(job, "add_aux_resource")  # jobs of a group share what the group got
            if single:
                forget_lane(job)
            if single and whole(job.scheduler_resources, GPU) > 0:
                asking[key_of(job)] = job
            else:
                others.append(job)
        return asking, others

    def _assign(
        self,
        asking: Mapping[str, Any],
        others: Sequence[Any],
        free: Mapping[str, int],
        lanes: Mapping[str, int],
        input_sizes: Mapping[Any, int],
    ) -> Assignment:
        used = {name: most - free[name] for name, most in lanes.items()}
        now_s = time.monotonic()
        self._ledger.settle(used=used, ready=asking.keys(), finished=self._is_finished, now_s=now_s)
        # Of an archive a hundred thousand others would stay in memory.
        self._running = {key: self._running[key] for key in self._ledger.keys}
        return assign(
            [self._wish(key, job, lanes, input_sizes) for key, job in asking.items()],
            self._ledger.lanes(lanes, used, now_s),
            free=free,
            total=self._total,
            others=[needs_of(job, free) for job in others],
        )

    def _wish(self, key: str, job: Any, lanes: Collection[str], input_sizes: Mapping[Any, int]) -> Wish:
        needs = needs_of(job, self._total)
        return Wish(
            key=key,
            rule=str(job.rule.name),
            priority=job.priority,
            expected_s=whole(job.scheduler_resources, EXPECTED_S),
            needs={name: amount for name, amount in needs.items() if not LANE.fullmatch(name)},
            input_bytes=sum(input_sizes.get(file) or 0 for file in job.input),
            max_lanes=whole(job.scheduler_resources, MAX_LANES),
            lane=next((name for name in lanes if needs.get(name)), None),
            failed_at=self._ledger.failed_at(key),
        )

    def _give(self, job: Any, wish: Wish, lane: str) -> Any:
        for name, value in {lane: 1, LANE_DEVICE: self.settings.device, LANE_WARM: int(not self.settings.cold)}.items():
            job.add_aux_resource(name, value)
        self._ledger.give(wish, lane, time.monotonic())
        self._running[wish.key] = job
        return job

    def _is_finished(self, key: str) -> bool:
        return bool(self.dag.finished(self._running[key]))

    def _look_for_cards(self, lanes: Mapping[str, int], rules: Collection[str]) -> None:
        """Stop the run as soon as a card that `rules` need is known to be missing. Other jobs go on while we look."""
        if not rules:
            return
        if not lanes:
            removed = ", ".join(sorted(name for name in self._total if LANE.fullmatch(name)))
            raise WorkflowError(
                f"a card of kind {self.settings.device} (--scheduler-lanes-device) is needed by "
                f"{', '.join(sorted(rules))}, but no lane is declared{removed and f', only removed: {removed}'}\n"
                "  what to do: declare each card (in the profile: resources: gpu0: 2, ...; on the command line: "
                "--resources gpu0=2 ...), or run on the CPU with --profile profiles/cpu"
            )
        if self._check is None:
            self._check = CardCheck(self.settings.device, sorted(int(name.removeprefix(GPU)) for name in lanes))
        self._check.raise_if_known()

"""Scheduler `lanes`: assigns a free GPU to each job that requests one (`gpu=1`). Other jobs go to the greedy scheduler.

The profile declares the GPUs as global resources (`gpu0: 2`, `gpu1: 2`). `tapemill.lanes.assignment` decides which job
goes where; this plugin passes the decision to Snakemake as three resources added to the job: the GPU itself, so that
Snakemake's accounting holds it until the job ends, `lane_device` and `lane_warm` for the job script.

Every start of Snakemake imports this, whatever scheduler it uses: nothing heavy may be imported here.
"""

# No `from __future__ import annotations`: Snakemake makes options from the fields' types and needs them evaluated.
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from snakemake.scheduling import greedy
from snakemake_interface_common.exceptions import WorkflowError

from tapemill.devices.device import KINDS
from tapemill.jobs.retry import is_backing_off
from tapemill.lanes.assignment import (
    CORES,
    EXPECTED_S,
    GPU,
    LANE_DEVICE,
    LANE_WARM,
    MAX_LANES,
    Assignment,
    JobRequest,
    assign,
)
from tapemill.lanes.backpressure import BACKLOG, BACKLOG_LIMIT, UNLIMITED, Backlog
from tapemill.lanes.ledger import Ledger

from .check import GpuCheck
from .declared import lanes_of_profile
from .jobs import LANE, integer_resource, key_of, needs_of, remove_lane, requests_gpu


@dataclass
class SchedulerSettings(greedy.SchedulerSettings):
    """The options `--scheduler-lanes-…`, which are profile keys as well; those of the greedy scheduler among them."""

    device: str = field(
        default="cpu",
        metadata={
            "help": f"Kind of the GPUs gpu0, gpu1, ... that the profile declares: {', '.join(KINDS)}. Lanes of kind "
            "cpu behave like GPUs, and compute on the processor.",
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
                f"known kind of GPU\n  what to do: use one of {', '.join(KINDS)}"
            )


class Scheduler(greedy.Scheduler):
    """Scheduler of jobs with a GPU first, and of others with the remaining resources."""

    def __post_init__(self) -> None:
        super().__post_init__()
        workflow: Any = getattr(self.dag, "workflow", None)
        declared = lanes_of_profile(sys.argv[1:], os.environ) if workflow is not None else {}
        for name, limit in declared.items():
            if LANE.fullmatch(name) and name not in workflow.global_resources:
                workflow.register_resource(name, limit)
        if workflow is not None and any(BACKLOG in rule.resources for rule in workflow.rules):
            workflow.register_resource(BACKLOG, UNLIMITED)
        if workflow is not None and workflow.remote_exec:
            from tapemill.cluster import node  # the Snakefile of a cluster job has imported it

            node.configure_node(self.dag)
        self._backlog = Backlog()
        self._backlog_files: dict[str, bool] = {}
        self._total: dict[str, int] = {}
        self._ledger = Ledger()
        self._running: dict[str, Any] = {}
        self._check: GpuCheck | None = None

    def select_jobs(
        self,
        selectable_jobs: Sequence[Any],
        remaining_jobs: Sequence[Any],
        available_resources: Mapping[str, int | str],
        input_sizes: dict[Any, int],
    ) -> Sequence[Any]:
        """Select the jobs that start now, and add the resources of their lanes to them alone."""
        free = {name: amount for name, amount in available_resources.items() if isinstance(amount, int)}
        # Nothing runs yet at the first call, so that everything is free.
        self._total = {name: max(amount, self._total.get(name, 0)) for name, amount in free.items()}
        lanes = {name: limit for name, limit in self._total.items() if LANE.fullmatch(name) and limit > 0}
        ready = [job for job in selectable_jobs if not is_backing_off(job)]
        gpu_jobs, other_jobs = self._split(ready)
        if self.settings.device != "cpu":
            self._check_gpus(
                lanes, {str(job.rule.name) for job in [*gpu_jobs.values(), *filter(requests_gpu, remaining_jobs)]}
            )
        other_jobs, held = self._within_backlog(other_jobs, remaining_jobs, free)
        chosen = self._choose(gpu_jobs, other_jobs, remaining_jobs, available_resources, input_sizes, free, lanes)
        if held and not chosen and len(ready) == len(selectable_jobs) and free.get(CORES) == self._total.get(CORES):
            # Snakemake would wait for ever.
            self._backlog.abandon_waiting()
            other_jobs, _ = self._within_backlog([*other_jobs, *held], remaining_jobs, free)
            chosen = self._choose(gpu_jobs, other_jobs, remaining_jobs, available_resources, input_sizes, free, lanes)
        return chosen

    def _choose(
        self,
        gpu_jobs: Mapping[str, Any],
        other_jobs: Sequence[Any],
        remaining: Sequence[Any],
        available: Mapping[str, int | str],
        input_sizes: dict[Any, int],
        free: Mapping[str, int],
        lanes: Mapping[str, int],
    ) -> list[Any]:
        """Select jobs for lanes, then others by the greedy scheduler; without lanes all by the latter."""
        if not lanes:
            ready = [*gpu_jobs.values(), *other_jobs]
            return list(super().select_jobs(ready, remaining, available, input_sizes) if ready else ())
        plan = self._assign(gpu_jobs, other_jobs, free, lanes, input_sizes)
        if plan.placed and self._check is not None:
            self._check.wait()
        chosen = [self._start_at(gpu_jobs[request.key], request, lane) for request, lane in plan.placed]
        left = {name: plan.left.get(name, amount) for name, amount in available.items()}
        return chosen + list(super().select_jobs(other_jobs, remaining, left, input_sizes) if other_jobs else ())

    def _within_backlog(
        self, jobs: Sequence[Any], remaining: Sequence[Any], free: Mapping[str, int]
    ) -> tuple[list[Any], list[Any]]:
        """Return jobs that may start now, and those held back because enough of their outputs wait to be used."""
        producers = [
            job for job in jobs if hasattr(job, "rule") and integer_resource(job.scheduler_resources, BACKLOG) > 0
        ]
        limits = [limit for job in producers if (limit := integer_resource(job.scheduler_resources, BACKLOG_LIMIT)) > 0]
        if not limits:
            return list(jobs), []
        slots = self._backlog.free_slots(
            self._waiting_files(producers, remaining),
            running=self._total[BACKLOG] - free[BACKLOG],
            limit=min(limits),
        )
        # In the order of tape names and scenes, so that started tapes are finished first.
        producers.sort(key=key_of)
        held = {id(job) for job in producers[slots:]}
        return [job for job in jobs if id(job) not in held], producers[slots:]

    def _waiting_files(self, producers: Sequence[Any], remaining: Sequence[Any]) -> list[str]:
        """Return output files of the rules of `producers` that exist and whose consuming job has not started.

        A job that failed finally does not count. Has to be fast: called for thousands of files, several times a second.
        """
        rules = {job.rule for job in producers}
        known, unmade = self._backlog_files, {name for job in producers for name in map(str, job.output)}
        waiting = []
        for job in remaining:
            for name in map(str, job.input):
                if name not in known:
                    known[name] = any(rule.is_producer(name) for rule in rules)
                if known[name] and name not in unmade and os.path.exists(name):  # noqa: PTH110
                    waiting.append(name)
        return waiting

    def _split(self, jobs: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
        """Return jobs that request a GPU, by key, and all others. Lanes of earlier attempts are removed from them."""
        gpu_jobs, other_jobs = {}, []
        for job in jobs:
            single = hasattr(job, "add_aux_resource")  # jobs of a group share the group's resources
            if single:
                remove_lane(job)
            if single and integer_resource(job.scheduler_resources, GPU) > 0:
                gpu_jobs[key_of(job)] = job
            else:
                other_jobs.append(job)
        return gpu_jobs, other_jobs

    def _assign(
        self,
        gpu_jobs: Mapping[str, Any],
        other_jobs: Sequence[Any],
        free: Mapping[str, int],
        lanes: Mapping[str, int],
        input_sizes: Mapping[Any, int],
    ) -> Assignment:
        used = {name: limit - free[name] for name, limit in lanes.items()}
        now_s = time.monotonic()
        self._ledger.remove_ended(used=used, ready=gpu_jobs.keys(), finished=self._is_finished, now_s=now_s)
        # Keep no references to ended jobs: an archive has a hundred thousand.
        self._running = {key: self._running[key] for key in self._ledger.keys}
        return assign(
            [self._job_request(key, job, lanes, input_sizes) for key, job in gpu_jobs.items()],
            self._ledger.lanes(lanes, used, now_s),
            free=free,
            total=self._total,
            others=[needs_of(job, free) for job in other_jobs],
        )

    def _job_request(self, key: str, job: Any, lanes: Collection[str], input_sizes: Mapping[Any, int]) -> JobRequest:
        needs = needs_of(job, self._total)
        return JobRequest(
            key=key,
            rule=str(job.rule.name),
            priority=job.priority,
            expected_s=integer_resource(job.scheduler_resources, EXPECTED_S),
            needs={name: amount for name, amount in needs.items() if not LANE.fullmatch(name)},
            input_bytes=sum(input_sizes.get(file) or 0 for file in job.input),
            max_lanes=integer_resource(job.scheduler_resources, MAX_LANES),
            lane=next((name for name in lanes if needs.get(name)), None),
            failed_at=self._ledger.failed_at(key),
        )

    def _start_at(self, job: Any, request: JobRequest, lane: str) -> Any:
        for name, value in {lane: 1, LANE_DEVICE: self.settings.device, LANE_WARM: int(not self.settings.cold)}.items():
            job.add_aux_resource(name, value)
        self._ledger.assign(request, lane, time.monotonic())
        self._running[request.key] = job
        return job

    def _is_finished(self, key: str) -> bool:
        return bool(self.dag.finished(self._running[key]))

    def _check_gpus(self, lanes: Mapping[str, int], rules: Collection[str]) -> None:
        """Stop the run as soon as a GPU that `rules` need is known to be missing. Other jobs run during the check."""
        if not rules:
            return
        if not lanes:
            removed = ", ".join(sorted(name for name in self._total if LANE.fullmatch(name)))
            raise WorkflowError(
                f"a GPU of kind {self.settings.device} (--scheduler-lanes-device) is needed by "
                f"{', '.join(sorted(rules))}, but no lane is declared{removed and f', only removed: {removed}'}\n"
                "  what to do: declare each GPU (in the profile: resources: gpu0: 2, ...; on the command line: "
                "--resources gpu0=2 ...), or run on the CPU with --profile profiles/cpu"
            )
        if self._check is None:
            self._check = GpuCheck(self.settings.device, sorted(int(name.removeprefix(GPU)) for name in lanes))
        self._check.raise_if_known()

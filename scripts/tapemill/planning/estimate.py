"""Estimate of a plan: jobs to do, their time on these lanes and cores, disk space and energy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core.rule_catalog import STAGES
from tapemill.enhance import NetworkStep, SceneSettings
from tapemill.workflow.cost_model import SpeedModel
from tapemill.workflow.job_costs import JobCosts
from tapemill.workflow.run_options import RunOptions
from tapemill.workflow.tape import TapeState
from tapemill.workflow.workload import TapeLoad, load_of

from . import disk_usage
from .disk_usage import DiskPlan
from .plan import DiskUsage, EnergyUse, Plan, StagePlan, TapePlan
from .simulation import CORES, SimulationResult, TimedTask, simulate
from .snakemake_jobs import PlannedJob
from .tasks import Task, finished_checkpoints, tasks_of

J_OF_KWH: Final = 3_600_000


def estimate(
    jobs: Sequence[PlannedJob],
    states: Mapping[str, TapeState],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    run: RunOptions,
) -> Plan:
    """Estimate a plan. `jobs` are Snakemake's, finished ones included; `config` is complete.

    Reads tables, records, benchmarks and events, and the headers of captures that are not probed yet.
    """
    tapes = {job.tape for job in jobs}
    longest_s = config["scenes"]["longest_s"]
    loads = {tape: load_of(state, enhance, longest_s) for tape, state in states.items() if tape in tapes}
    jobs = [*jobs, *finished_checkpoints(jobs, loads)]
    tasks = tasks_of(jobs, loads, language_scenes=config["subtitles"]["language_scenes"])
    speeds = _TaskSpeeds(JobCosts(states, enhance, config, lambda: run.has_gpus), states, enhance)
    timed = [speeds.timed(task) for task in tasks]
    result = SimulationResult({}, {})
    if timed:
        result = simulate(timed, cores=run.cores, lanes=run.lanes, cut_ahead=config["disk"]["cut_backlog"])
    counts: defaultdict[str, int] = defaultdict(int)
    for task in tasks:
        counts[task.rule] += not task.is_estimate
    work_s = sum(each.seconds for each in timed)
    measured_s = sum(each.seconds for each in timed if speeds.of_task(each.task).is_measured)
    return Plan(
        tapes=tuple(_tapes(jobs, timed, states, loads, speeds, result, has_lanes=bool(run.lanes))),
        jobs={rule: number for rule, number in counts.items() if number},
        total_s=result.total_s,
        cores=run.cores,
        busy_s={**dict.fromkeys(run.lanes, 0.0), **result.busy_s},
        spaces=tuple(_disk_usages(tasks, states, loads, enhance, config, run)),
        energy=_energy(result, config["plan"]),
        measured_jobs=speeds.costs.measured_jobs,
        measured_share=measured_s / work_s if work_s else 0.0,
    )


@dataclass(frozen=True)
class _TaskSpeeds:
    """Speed of each task by the cost model."""

    costs: JobCosts
    states: Mapping[str, TapeState]
    enhance: SceneSettings

    def of_task(self, task: Task) -> SpeedModel:
        return self.costs.speed(task.rule, self._networks(task))

    def timed(self, task: Task) -> TimedTask:
        """The task with its time."""
        threads = int(self.enhance.of_tape["encoder_threads"]) if task.rule == "enhance_scene" else 1
        requests_gpu = self.costs.requests_gpu(task.rule, self._networks(task))
        return TimedTask(task, self.of_task(task).seconds(task.units), requests_gpu=requests_gpu, threads=threads)

    def _networks(self, task: Task) -> Sequence[NetworkStep]:
        if task.rule != "enhance_scene":
            return ()
        if task.is_estimate:
            return self.enhance.networks_of_tape
        state = self.states[task.tape]
        span = None if state.is_folder else state.scenes(state.scene_table)[task.scene].span
        return self.enhance.networks_of_scene(task.tape, task.scene, span)


def _tapes(
    jobs: Sequence[PlannedJob],
    timed: Sequence[TimedTask],
    states: Mapping[str, TapeState],
    loads: Mapping[str, TapeLoad],
    speeds: _TaskSpeeds,
    result: SimulationResult,
    *,
    has_lanes: bool,
) -> Iterable[TapePlan]:
    """Plan of each tape, and last of the jobs without a tape."""
    others = TapeLoad((), True, True, 1.0, 25.0, 1)
    for tape in [*loads, *([""] if any(not job.tape for job in jobs) else [])]:
        load = loads.get(tape, others)
        own = [each for each in timed if each.task.tape == tape]
        done = [job for job in jobs if job.tape == tape and not job.is_to_do]
        yield TapePlan(
            tape=tape,
            title=states[tape].row.title if tape else "",
            scenes=len(load.scenes),
            are_scenes_known=load.are_scenes_known,
            video_s=load.video_s,
            is_length_known=load.is_length_known,
            stages=tuple(_stages(own, done, speeds, has_lanes=has_lanes)),
            ends_s=max((result.ends_s.get(each.task.key, 0.0) for each in own), default=0.0),
        )


def _stages(
    timed: Sequence[TimedTask], done: Sequence[PlannedJob], speeds: _TaskSpeeds, *, has_lanes: bool
) -> Iterable[StagePlan]:
    names = dict.fromkeys([*STAGES, *(each.task.stage for each in timed), *(job.stage for job in done)])
    for stage in names:
        own = [each for each in timed if each.task.stage == stage]
        finished = sum(job.stage == stage for job in done)
        if own or finished:
            card_s = sum(each.seconds for each in own if has_lanes and each.requests_gpu)
            work_s = sum(each.seconds for each in own)
            measured_s = sum(each.seconds for each in own if speeds.of_task(each.task).is_measured)
            yield StagePlan(
                stage=stage,
                to_do=sum(not each.task.is_estimate for each in own),
                to_come=sum(each.task.is_estimate for each in own),
                done=finished,
                card_s=card_s,
                core_s=work_s - card_s,
                measured_share=measured_s / work_s if work_s else 0.0,
            )


def _disk_usages(
    tasks: Sequence[Task],
    states: Mapping[str, TapeState],
    loads: Mapping[str, TapeLoad],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    run: RunOptions,
) -> Iterable[DiskUsage]:
    wanted: dict[str, set[str]] = {tape: set() for tape in loads}
    for task in tasks:
        if task.tape in wanted:
            wanted[task.tape].add(task.rule)
    for disk in disk_usage.plan_disks(states, wanted, enhance=enhance.of_tape, disk=config["disk"], cores=run.cores):
        yield _disk_usage(disk)


def _disk_usage(disk: DiskPlan) -> DiskUsage:
    used = sum(_size(tape.folder) for tape in disk.tapes)
    return DiskUsage(
        folder=str(disk.folder.parent),
        used_bytes=used,
        peak_bytes=used + disk.peak_bytes,
        after_bytes=used + disk.stays_bytes,
        free_bytes=disk.free_bytes,
        is_guess=any(tape.is_guess and tape.stays_bytes for tape in disk.tapes),
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _energy(result: SimulationResult, settings: Mapping[str, Any]) -> EnergyUse | None:
    """Energy of the machine for the whole time, and of each lane while it works."""
    machine, lane = settings["watts_machine"], settings["watts_lane"]
    if machine is None and lane is None:
        return None
    lanes_s = sum(seconds for place, seconds in result.busy_s.items() if place != CORES)
    kwh = ((machine or 0) * result.total_s + (lane or 0) * lanes_s) / J_OF_KWH
    return EnergyUse(kwh, None if settings["price_kwh"] is None else kwh * settings["price_kwh"])

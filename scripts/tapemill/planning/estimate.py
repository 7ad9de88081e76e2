"""The plan of a run: what is to do, how long it takes on these lanes and cores, and what it needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tapemill.core.rule_catalog import STAGES
from tapemill.enhance import EnhanceSettings, NetworkStep, SceneSettings, needs_choice
from tapemill.models import find_model
from tapemill.workflow.tape import TapeState

from . import benchmarks, disk_usage, speed
from .benchmarks import Made, Way
from .disk_usage import DiskPlan
from .plan import Energy, Plan, Space, StagePlan, TapePlan
from .simulation import CORES, Outcome, Timed, simulate
from .snakemake_jobs import PlannedJob, Run
from .speed import Pace
from .tasks import Task, passed, tasks_of
from .workload import TapeLoad, load_of

J_OF_KWH: Final = 3_600_000


def estimate(
    jobs: Sequence[PlannedJob],
    lookups: Mapping[str, TapeState],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    run: Run,
) -> Plan:
    """Work the plan out. `jobs` are Snakemake's, those that are done among them; `config` is complete.

    Reads tables, records, benchmarks and events, and of captures that nobody has looked into yet their heads.
    """
    tapes = {job.tape for job in jobs}
    loads = {
        tape: load_of(lookup, enhance, config["scenes"]["longest_s"])
        for tape, lookup in lookups.items()
        # Tapes that this run does not concern still tell how long jobs take, if they were begun.
        if tape in tapes or lookup.paths.capture_record.exists()
    }
    concerned = {tape: load for tape, load in loads.items() if tape in tapes}
    jobs = [*jobs, *passed(jobs, concerned)]
    tasks = tasks_of(jobs, concerned, language_scenes=config["subtitles"]["language_scenes"])
    paces = _Paces(enhance, lookups, config, run, benchmarks.samples(loads, has_cards=run.has_cards))
    timed = [paces.timed(task) for task in tasks]
    has_lanes = bool(run.lanes)
    ahead = config["disk"]["cut_backlog"]
    outcome = simulate(timed, cores=run.cores, lanes=run.lanes, cut_ahead=ahead) if timed else Outcome({}, {})
    counts: defaultdict[str, int] = defaultdict(int)
    for task in tasks:
        counts[task.rule] += not task.is_estimate
    work_s = sum(each.seconds for each in timed)
    measured_s = sum(each.seconds for each in timed if paces.of(each.task).is_measured)
    return Plan(
        tapes=tuple(_tapes(jobs, timed, lookups, concerned, paces, outcome, has_lanes=has_lanes)),
        jobs={rule: number for rule, number in counts.items() if number},
        total_s=outcome.total_s,
        cores=run.cores,
        busy_s={**dict.fromkeys(run.lanes, 0.0), **outcome.busy_s},
        spaces=tuple(_spaces(tasks, lookups, concerned, enhance, config, run)),
        energy=_energy(outcome, config["plan"]),
        measured_jobs=paces.measured_jobs,
        measured_share=measured_s / work_s if work_s else 0.0,
    )


class _Paces:
    """The pace of each task: of the jobs that were done here in the same way, or as stated."""

    def __init__(
        self,
        enhance: SceneSettings,
        lookups: Mapping[str, TapeState],
        config: Mapping[str, Any],
        run: Run,
        samples: Mapping[str, Sequence[Made]],
    ) -> None:
        self._enhance, self._lookups, self._samples = enhance, lookups, samples
        section = EnhanceSettings(**enhance.of_tape)
        self._encoder, self._threads = section.encoder, section.encoder_threads
        self._encodes_on_card = needs_choice(section)
        self._subtitles = config["subtitles"]
        self._has_cards = run.has_cards
        self._model = find_model(self._subtitles["model"], {"speech"})
        self._made: dict[tuple[str, tuple[str, ...]], Pace] = {}

    @property
    def measured_jobs(self) -> int:
        """How many jobs of this machine the paces asked for so far are based on."""
        return sum(each.jobs for each in self._made.values())

    def of(self, task: Task) -> Pace:
        """Of one task."""
        networks = self._networks(task) if task.rule == "enhance_scene" else ()
        key = task.rule, tuple(step.sha256 for step in networks)
        if key not in self._made:
            stated = speed.stated(
                task.rule,
                on_card=self._has_cards and self._wants_card(task, networks),
                networks=networks,
                model=str(self._subtitles["model"]),
                language_scenes=int(self._subtitles["language_scenes"]),
            )
            alike = benchmarks.alike(self._samples.get(task.rule, ()), self._way(task, networks))
            self._made[key] = speed.fitted(alike, stated)
        return self._made[key]

    def timed(self, task: Task) -> Timed:
        """The task with its time."""
        is_enhancing = task.rule == "enhance_scene"
        return Timed(
            task,
            self.of(task).seconds(task.units),
            wants_card=self._wants_card(task, self._networks(task) if is_enhancing else ()),
            threads=self._threads if is_enhancing else 1,
        )

    def _wants_card(self, task: Task, networks: Sequence[NetworkStep]) -> bool:
        if task.rule == "enhance_scene":
            return bool(networks) or self._encodes_on_card
        return task.info.uses_gpu

    def _networks(self, task: Task) -> Sequence[NetworkStep]:
        if task.is_estimate:
            return self._enhance.networks_of_tape
        lookup = self._lookups[task.tape]
        span = None if lookup.is_folder else lookup.scenes(lookup.scene_table)[task.scene].span
        return self._enhance.networks_of_scene(task.tape, task.scene, span)

    def _way(self, task: Task, networks: Sequence[NetworkStep]) -> Way:
        if task.rule == "enhance_scene":
            names = tuple(step.model for step in networks)
            return {"networks": tuple(step.sha256 for step in networks), "encoder": self._encoder, "names": names}
        if task.rule in ("transcribe_scene", "translate_scene"):
            return {"model": self._model.sha256, "names": (self._model.path.stem,)}
        return {}


def _tapes(
    jobs: Sequence[PlannedJob],
    timed: Sequence[Timed],
    lookups: Mapping[str, TapeState],
    loads: Mapping[str, TapeLoad],
    paces: _Paces,
    outcome: Outcome,
    *,
    has_lanes: bool,
) -> Iterable[TapePlan]:
    """Each tape, and last what belongs to none."""
    others = TapeLoad((), True, True, 1.0, 25.0, 1)
    for tape in [*loads, *([""] if any(not job.tape for job in jobs) else [])]:
        load = loads.get(tape, others)
        own = [each for each in timed if each.task.tape == tape]
        done = [job for job in jobs if job.tape == tape and not job.is_to_do]
        yield TapePlan(
            tape=tape,
            title=lookups[tape].row.title if tape else "",
            scenes=len(load.scenes),
            are_scenes_known=load.are_scenes_known,
            video_s=load.video_s,
            is_length_known=load.is_length_known,
            stages=tuple(_stages(own, done, paces, has_lanes=has_lanes)),
            ends_s=max((outcome.ends_s.get(each.task.key, 0.0) for each in own), default=0.0),
        )


def _stages(
    timed: Sequence[Timed], done: Sequence[PlannedJob], paces: _Paces, *, has_lanes: bool
) -> Iterable[StagePlan]:
    names = dict.fromkeys([*STAGES, *(each.task.stage for each in timed), *(job.stage for job in done)])
    for stage in names:
        own = [each for each in timed if each.task.stage == stage]
        finished = sum(job.stage == stage for job in done)
        if own or finished:
            card_s = sum(each.seconds for each in own if has_lanes and each.wants_card)
            work_s = sum(each.seconds for each in own)
            measured_s = sum(each.seconds for each in own if paces.of(each.task).is_measured)
            yield StagePlan(
                stage=stage,
                to_do=sum(not each.task.is_estimate for each in own),
                to_come=sum(each.task.is_estimate for each in own),
                done=finished,
                card_s=card_s,
                core_s=work_s - card_s,
                measured_share=measured_s / work_s if work_s else 0.0,
            )


def _spaces(
    tasks: Sequence[Task],
    lookups: Mapping[str, TapeState],
    loads: Mapping[str, TapeLoad],
    enhance: SceneSettings,
    config: Mapping[str, Any],
    run: Run,
) -> Iterable[Space]:
    wanted: dict[str, set[str]] = {tape: set() for tape in loads}
    for task in tasks:
        if task.tape in wanted:
            wanted[task.tape].add(task.rule)
    for disk in disk_usage.plan(lookups, wanted, enhance=enhance.of_tape, disk=config["disk"], cores=run.cores):
        yield _space(disk)


def _space(disk: DiskPlan) -> Space:
    used = sum(_size(tape.folder) for tape in disk.tapes)
    return Space(
        folder=str(disk.folder.parent),
        used_bytes=used,
        peak_bytes=used + disk.peak_bytes,
        after_bytes=used + disk.stays_bytes,
        free_bytes=disk.free_bytes,
        is_guess=any(tape.is_guess and tape.stays_bytes for tape in disk.tapes),
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _energy(outcome: Outcome, settings: Mapping[str, Any]) -> Energy | None:
    """The machine all the time, and each lane while it works."""
    machine, lane = settings["watts_machine"], settings["watts_lane"]
    if machine is None and lane is None:
        return None
    lanes_s = sum(seconds for place, seconds in outcome.busy_s.items() if place != CORES)
    kwh = ((machine or 0) * outcome.total_s + (lane or 0) * lanes_s) / J_OF_KWH
    return Energy(kwh, None if settings["price_kwh"] is None else kwh * settings["price_kwh"])

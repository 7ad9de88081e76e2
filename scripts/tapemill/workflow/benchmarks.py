"""Times of finished jobs of this machine: Snakemake's files in benchmarks/, without the time they waited at a lane.

A benchmark file does not show how its job was done. Networks and speech models are in the record beside the result, or
else in the events of the run, with lane and waiting time. Jobs that were done in another way than now requested do not
count. If record and events are gone, because the tape was deleted, the times are still better than none.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tapemill import events
from tapemill.core.result_paths import TapePaths
from tapemill.core.rule_catalog import RULES, rule_info
from tapemill.events.attempts import Attempt, fold_attempts
from tapemill.records import job_records

from .cost_model import Measurement
from .workload import TapeLoad

BENCHMARKS: Final = Path("benchmarks")
NEWEST_FILES: Final = 200
"""Files read of each rule: those of the present settings are among them, and a run must not wait for thousands."""
NEWEST_RUNS: Final = 5

JobKey = tuple[str, str, str]
"""Rule, tape and scene; empty where the job has none."""
JobVariant = Mapping[str, str | tuple[str, ...]]
"""Facts of a job on which its time depends: `networks`, `model` (SHA-256), `encoder`, `names` of models."""


@dataclass(frozen=True)
class MeasuredJob:
    """A finished job of this machine."""

    measurement: Measurement
    variant: JobVariant
    """As far as it is known."""


@dataclass(frozen=True)
class EventFacts:
    """Facts of a finished job from its events."""

    on_gpu: bool
    waited_s: float
    variant: JobVariant = field(default_factory=dict)


def measured_jobs(load_of: Callable[[str], TapeLoad | None], *, has_gpus: bool) -> dict[str, list[MeasuredJob]]:
    """Return finished jobs by rule, the newest first.

    `load_of` returns the work of a tape, None for an unknown one. `has_gpus`: whether jobs that request a GPU get one
    now; GPU jobs that were done otherwise do not count.
    """
    facts = _event_facts()
    found: defaultdict[str, list[MeasuredJob]] = defaultdict(list)
    for key, seconds, video_s in _benchmarks(load_of):
        rule, tape, scene = key
        info, done = rule_info(rule), facts.get(key, EventFacts(has_gpus, 0.0))
        variant = _recorded_variant(rule, tape, scene)
        if variant is None or (info.uses_gpu and done.on_gpu != has_gpus):
            continue
        load = load_of(tape)
        measurement = Measurement(load.units(info.unit, video_s) if load else 0.0, max(0.0, seconds - done.waited_s))
        found[rule].append(MeasuredJob(measurement, variant or done.variant))
    return dict(found)


def matching(jobs: Iterable[MeasuredJob], requested: JobVariant) -> list[Measurement]:
    """Return the measurements of jobs of the requested variant; if there are none, of jobs whose variant is unknown."""
    candidates = [job for job in jobs if all(requested.get(name) == value for name, value in job.variant.items())]
    known = [job for job in candidates if job.variant]
    return [job.measurement for job in known or candidates]


def _recorded_variant(rule: str, tape: str, scene: str) -> JobVariant | None:
    """Variant of a finished job by its record; empty without a record, None for a job that fell back to less."""
    folder = TapePaths.of(tape).folder
    if rule == "enhance_scene" and (clip := job_records.clip_record(folder, scene)):
        networks = tuple(network.sha256 for network in clip.networks)
        return None if clip.kept_original else {"networks": networks, "encoder": clip.encoder_asked}
    if rule in ("transcribe_scene", "translate_scene"):
        subtitles = job_records.subtitle_record(folder, scene, translated=rule == "translate_scene")
        if subtitles and subtitles.left_empty:
            return None
        if subtitles and subtitles.made_from:
            return {"model": subtitles.made_from.model_sha256}
    return {}


def _benchmarks(load_of: Callable[[str], TapeLoad | None]) -> Iterator[tuple[JobKey, float, float]]:
    """The newest files of each rule, for jobs of known tapes or of none: seconds, and seconds of video."""
    for folder in _sorted(BENCHMARKS):
        newest: list[tuple[float, JobKey, Path, float]] = []
        # The newest tapes first: of an archive only some are read.
        for entry in sorted(_sorted(Path(folder.path)), key=_changed_s, reverse=True):
            tape = entry.name.removesuffix(".tsv")
            load = load_of(tape)
            if load is None and folder.name in RULES:
                continue
            scenes = _sorted(Path(entry.path)) if entry.is_dir() else [entry]
            ids = ["" if each is entry else each.name.removesuffix(".tsv") for each in scenes]
            lengths = load.lengths_of(ids) if load else {}
            for id, each in zip(ids, scenes, strict=True):
                if load is None or id in lengths:
                    key = folder.name, tape, id
                    newest.append((_changed_s(each), key, Path(each.path), lengths.get(id, 0.0)))
            if len(newest) >= NEWEST_FILES:
                break
        newest.sort(reverse=True)
        for _, key, path, video_s in islice(newest, NEWEST_FILES):
            seconds = _seconds(path)
            if seconds is not None:
                yield key, seconds, video_s


def _sorted(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _changed_s(entry: os.DirEntry[str]) -> float:
    """Modification time; 0 for a file that was removed meanwhile."""
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0


def _seconds(path: Path) -> float | None:
    """The column `s` of the last line; None if the file is damaged or gone."""
    try:
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        return float(rows[-1].split("\t")[header.split("\t").index("s")])
    except (OSError, ValueError, IndexError):
        return None


def _event_facts() -> dict[JobKey, EventFacts]:
    """Facts of finished jobs from the events of the last runs. Runs without a tape, as of `show_plan`, do not count."""
    found: dict[JobKey, EventFacts] = {}
    runs = 0
    for run in reversed(events.list_runs()):
        attempts = fold_attempts(events.read_events(run))
        done = [attempt for attempt in attempts if attempt.outcome == "done" and attempt.tape]
        for attempt, waited_s in lane_waits(done):
            names: Any = attempt.facts.get("model")
            variant: JobVariant = {} if names is None else {"names": tuple(map(str, names))}
            found.setdefault(attempt.names, EventFacts(bool(attempt.facts.get("device_uuid")), waited_s, variant))
        runs += bool(done)
        if runs == NEWEST_RUNS:
            break
    return found


def lane_waits(done: Sequence[Attempt]) -> Iterator[tuple[Attempt, float]]:
    """Each finished attempt, with the seconds it waited at its lane for the job before it."""
    free: dict[str, datetime] = {}
    for attempt in sorted(done, key=lambda attempt: attempt.ended or attempt.started):
        lane, ended = str(attempt.facts.get("lane", "")), attempt.ended or attempt.started
        before = free.get(lane, attempt.started) if lane else attempt.started
        yield attempt, max(0.0, (before - attempt.started).total_seconds())
        free[lane] = ended

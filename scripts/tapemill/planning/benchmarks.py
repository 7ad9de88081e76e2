"""How long jobs took on this machine: what Snakemake wrote to benchmarks/, without the time they waited at a lane.

A benchmark file says nothing of how its job was done. Networks and speech models are in the record beside the result,
or else in the events of the run, with lane and waiting. What is known to have been done in another way than is planned
now does not count. Both may be gone, with a tape that was made and deleted: then its times are still better than none.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tapemill import events
from tapemill.core.result_paths import TapePaths
from tapemill.core.rule_catalog import RULES, rule_info
from tapemill.events.attempts import Attempt, fold_attempts

from .snakemake_jobs import Key
from .speed import Sample
from .workload import TapeLoad

BENCHMARKS: Final = Path("benchmarks")
NEWEST_FILES: Final = 200
"""Of each rule: those of the present settings are among them, and a run must not wait for thousands of small files."""
NEWEST_RUNS: Final = 5

Way = Mapping[str, str | tuple[str, ...]]
"""How a job is done, as far as its time depends on it: `networks`, `model` (SHA-256), `encoder`, `names` of models."""


@dataclass(frozen=True)
class Made:
    """A job that was done here."""

    sample: Sample
    way: Way
    """As far as it is known."""


@dataclass(frozen=True)
class Told:
    """What the events say of a finished job."""

    on_card: bool
    waited_s: float
    way: Way = field(default_factory=dict)


def samples(loads: Mapping[str, TapeLoad], *, has_cards: bool) -> dict[str, list[Made]]:
    """Jobs of these tapes that were done here, by rule.

    `has_cards`: whether jobs that ask for a card get one now; those that were done otherwise do not count.
    """
    told = _told()
    found: defaultdict[str, list[Made]] = defaultdict(list)
    for key, seconds, video_s in _benchmarks(loads):
        rule, tape, scene = key
        info, done = rule_info(rule), told.get(key, Told(has_cards, 0.0))
        way = _recorded(rule, tape, scene)
        if way is None or (info.uses_gpu and done.on_card != has_cards):
            continue
        units = loads[tape].units(info.unit, video_s) if tape in loads else 0.0
        found[rule].append(Made(Sample(units, max(0.0, seconds - done.waited_s)), way or done.way))
    return dict(found)


def alike(made: Iterable[Made], planned: Way) -> list[Sample]:
    """Those that were done as is planned; if there are none, those of which there is no telling."""
    fitting = [each for each in made if all(planned.get(name) == value for name, value in each.way.items())]
    known = [each for each in fitting if each.way]
    return [each.sample for each in known or fitting]


def _recorded(rule: str, tape: str, scene: str) -> Way | None:
    """How a finished job was done, by its record; None if in a way that nobody plans. Empty if there is no telling."""
    paths = TapePaths.of(tape)
    try:
        if rule == "enhance_scene":
            record = json.loads(paths.clip_record(scene).read_text(encoding="utf-8"))
            networks = tuple(network["sha256"] for network in record.get("networks", ()))
            return None if "kept_original" in record else {"networks": networks, "encoder": record["encoder_asked"]}
        if rule in ("transcribe_scene", "translate_scene"):
            path = paths.subtitle_record(scene, translated=rule == "translate_scene")
            record = json.loads(path.read_text(encoding="utf-8"))
            return None if "left_empty" in record else {"model": record["made_from"]["model_sha256"]}
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return {}


def _benchmarks(loads: Mapping[str, TapeLoad]) -> Iterator[tuple[Key, float, float]]:
    """The newest files of each rule, for jobs of these tapes or of none: seconds, and seconds of video."""
    for folder in _sorted(BENCHMARKS):
        newest: list[tuple[float, Key, Path, float]] = []
        for entry in _sorted(Path(folder.path)):
            tape = entry.name.removesuffix(".tsv")
            load = loads.get(tape)
            if load is None and folder.name in RULES:
                continue
            scenes = _sorted(Path(entry.path)) if entry.is_dir() else [entry]
            ids = ["" if each is entry else each.name.removesuffix(".tsv") for each in scenes]
            lengths = load.lengths_of(ids) if load else {}
            for id, each in zip(ids, scenes, strict=True):
                if load is None or id in lengths:
                    key = folder.name, tape, id
                    newest.append((each.stat().st_mtime, key, Path(each.path), lengths.get(id, 0.0)))
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


def _seconds(path: Path) -> float | None:
    """The column `s` of the last line; None if the file is damaged."""
    try:
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        return float(rows[-1].split("\t")[head.split("\t").index("s")])
    except (ValueError, IndexError):
        return None


def _told() -> dict[Key, Told]:
    """What the events of the last runs say of jobs that ended well. Runs without a tape, as of `plan`, do not count."""
    found: dict[Key, Told] = {}
    runs = 0
    for run in reversed(events.list_runs()):
        done = [
            attempt for attempt in fold_attempts(events.read_events(run)) if attempt.outcome == "done" and attempt.tape
        ]
        for attempt, waited_s in waits(done):
            names: Any = attempt.facts.get("model")
            way: Way = {} if names is None else {"names": tuple(map(str, names))}
            key = attempt.rule, attempt.tape, attempt.scene
            found.setdefault(key, Told(bool(attempt.facts.get("device_uuid")), waited_s, way))
        runs += bool(done)
        if runs == NEWEST_RUNS:
            break
    return found


def waits(done: Sequence[Attempt]) -> Iterator[tuple[Attempt, float]]:
    """Each attempt that ended well, with the seconds it waited at its lane for the job before it."""
    free: dict[str, datetime] = {}
    for attempt in sorted(done, key=lambda attempt: attempt.ended or attempt.started):
        lane, ended = str(attempt.facts.get("lane", "")), attempt.ended or attempt.started
        before = free.get(lane, attempt.started) if lane else attempt.started
        yield attempt, max(0.0, (before - attempt.started).total_seconds())
        free[lane] = ended

"""How long jobs took on this machine: what Snakemake wrote to benchmarks/, without the time they waited at a lane.

A benchmark file says nothing of how its job was done. Networks and speech models are in the record beside the result,
lane and waiting in the events of the run, if these are still there. What was done in another way than is planned now
does not count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from .. import events
from ..history import Attempt, attempts
from .jobs import Key
from .pace import Sample
from .tasks import OTHER, RULES
from .workload import TapeLoad

BENCHMARKS: Final = Path("benchmarks")
RESULTS: Final = Path("results")
NEWEST_FILES: Final = 200
"""Of each rule: those of the present settings are among them, and a run must not wait for thousands of small files."""
NEWEST_RUNS: Final = 5

Way = tuple[str, ...]
"""How a job is done, as far as its time depends on it: networks, encoder, model."""

PLAIN: Final[Way] = ()


@dataclass(frozen=True)
class Done:
    """What the events say of a finished job."""

    on_card: bool
    waited_s: float


def samples(loads: Mapping[str, TapeLoad], *, has_cards: bool) -> dict[tuple[str, Way], list[Sample]]:
    """Jobs of these tapes that were done here, by rule and way.

    `has_cards`: whether jobs that ask for a card get one now; those that were done otherwise do not count.
    """
    told = _told()
    found: dict[tuple[str, Way], list[Sample]] = {}
    for key, seconds in _benchmarks(loads):
        rule, tape, scene = key
        facts, done = RULES.get(rule, OTHER), told.get(key)
        if facts.asks_for_card and done is not None and done.on_card != has_cards:
            continue
        way = _way(rule, tape, scene)
        if way is None:
            continue
        load = loads.get(tape)
        units = load.units(facts.unit, load.video_of(scene)) if load else 0.0
        worked_s = max(0.0, seconds - (done.waited_s if done else 0.0))
        found.setdefault((rule, way), []).append(Sample(units, worked_s))
    return found


def way_of_enhancing(networks: Iterable[Mapping[str, Any]], encoder: str) -> Way:
    """How a scene is enhanced: `networks` with their `sha256`, and the encoder that was asked for."""
    return (*(str(network["sha256"]) for network in networks), encoder)


def way_of_hearing(model_sha256: str) -> Way:
    """How a scene is transcribed."""
    return (model_sha256,)


def _way(rule: str, tape: str, scene: str) -> Way | None:
    """How a finished job was done, by its record; None if there is no telling."""
    folder = RESULTS / tape
    try:
        if rule == "enhance_scene":
            record = json.loads((folder / f"enhanced/{scene}.json").read_text(encoding="utf-8"))
            if "kept_original" in record:
                return None
            return way_of_enhancing(record.get("networks", ()), record["encoder_asked"])
        if rule in ("transcribe_scene", "translate_scene"):
            kept = "subtitles" if rule == "transcribe_scene" else "translated"
            record = json.loads((folder / f"{kept}/{scene}.json").read_text(encoding="utf-8"))
            return way_of_hearing(record["made_from"]["model_sha256"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return PLAIN


def _benchmarks(tapes: Iterable[str]) -> Iterator[tuple[Key, float]]:
    """The newest files of each rule, for jobs of these tapes or of none."""
    wanted = set(tapes)
    for folder in _sorted(BENCHMARKS):
        newest: list[tuple[float, Key, Path]] = []
        for entry in _sorted(Path(folder.path)):
            tape = entry.name.removesuffix(".tsv")
            if tape not in wanted and folder.name in RULES:
                continue
            scenes = _sorted(Path(entry.path)) if entry.is_dir() else [entry]
            for each in scenes:
                scene = "" if each is entry else each.name.removesuffix(".tsv")
                newest.append((each.stat().st_mtime, (folder.name, tape, scene), Path(each.path)))
        newest.sort(reverse=True)
        for _, key, path in islice(newest, NEWEST_FILES):
            seconds = _seconds(path)
            if seconds is not None:
                yield key, seconds


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


def _told() -> dict[Key, Done]:
    """What the events of the last runs say of jobs that ended well. Runs without a tape, as of `plan`, do not count."""
    found: dict[Key, Done] = {}
    runs = 0
    for run in reversed(events.runs()):
        done = [attempt for attempt in attempts(events.read(run)) if attempt.outcome == "done" and attempt.tape]
        for attempt, waited_s in waits(done):
            key = attempt.rule, attempt.tape, attempt.scene
            found.setdefault(key, Done(bool(attempt.facts.get("device_uuid")), waited_s))
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

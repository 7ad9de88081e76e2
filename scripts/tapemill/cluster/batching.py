"""Batches of neighbouring scenes for one submission each, of about the same expected duration.

The batches depend on the scene table and the settings alone, never on what was measured or is finished. So the process
on the node, which knows only the jobs it was sent, finds the same names; and when some scenes of a group are done, the
others still belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from tapemill.core.rule_catalog import rule_info
from tapemill.workflow.cost_model import default_speed
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.workload import USUAL_LOAD, units_of_job

BatchKind = Literal["enhance", "subtitles", "audio"]
"""Work that is submitted together: cuts and their enhancement; audio and its transcription; audio alone."""

MAX_SCENE_S: Final = 30.0
"""Length that a scene of a folder counts: that of the longest scene that is cut."""
MAX_SCENES: Final = 250
"""The names of all jobs are one argument of a command line, which Linux limits to 128 KB (MAX_ARG_STRLEN)."""


class GroupName(str):
    """Name of a group of this library: all jobs with it are one group. Users may define others with `--groups`."""

    __slots__ = ()


def assign_batches(seconds: Sequence[float], group_s: float) -> list[int]:
    """Return the number of the batch of each scene, from 1. `seconds` are the expected ones, in the order of the tape.

    Batches are about equally long: no short one remains at the end.
    """
    whole = max(1, round(sum(seconds) / group_s))
    aim_s = sum(seconds) / whole
    numbers: list[int] = []
    batch, filled_s, scenes = 1, 0.0, 0
    for own_s in seconds:
        if scenes and (filled_s + own_s / 2 > aim_s or scenes == MAX_SCENES):
            batch, filled_s, scenes = batch + 1, 0.0, 0
        numbers.append(batch)
        filled_s += own_s
        scenes += 1
    return numbers


def group_function(
    workflow: Any, planned: Callable[[Any], JobParams], config: Mapping[str, Any]
) -> Callable[[BatchKind | Callable[[Any], BatchKind]], Callable[[Any], GroupName | None]]:
    """Return a factory of functions for `group:` of scene rules. It takes the kind of work, or a function for it.

    `planned` returns the job's params for wildcards. There are groups only where Snakemake submits jobs to a cluster,
    and not in a dry run.
    """
    known: dict[tuple[str, BatchKind], tuple[object, dict[str, GroupName]]] = {}

    def names(job: JobParams, kind: BatchKind) -> dict[str, GroupName]:
        scenes = job.tape.folder if job.tape.is_folder else job.scenes
        tape = job.tape.row.tape
        # The table is the same object until the file changes.
        if (tape, kind) not in known or known[tape, kind][0] is not scenes:
            known[tape, kind] = (scenes, dict(_named_groups(job, kind, list(scenes), config)))
        return known[tape, kind][1]

    def of_kind(kind: BatchKind | Callable[[Any], BatchKind]) -> Callable[[Any], GroupName | None]:
        def group(wildcards: Any) -> GroupName | None:
            if workflow.local_exec:
                return None
            return names(planned(wildcards), kind(wildcards) if callable(kind) else kind).get(wildcards.scene)

        return group

    return of_kind


def _named_groups(
    job: JobParams, kind: BatchKind, ids: Sequence[str], config: Mapping[str, Any]
) -> Iterator[tuple[str, GroupName]]:
    rules = _rules(kind, translates=bool(config["subtitles"]["translate"]))
    seconds = [sum(_expected_s(replace(job, scene_id=id), rule, config) for rule in rules) for id in ids]
    for id, number in zip(ids, assign_batches(seconds, 60 * config["cluster"]["group_minutes"]), strict=True):
        yield id, GroupName(f"{job.tape.row.tape}-{kind}-{number:03}")


def _rules(kind: BatchKind, *, translates: bool) -> list[str]:
    if kind == "enhance":
        return ["cut_scene", "enhance_scene"]
    speech = ["transcribe_scene", *(["translate_scene"] if translates else [])]
    return ["extract_audio", *(speech if kind == "subtitles" else [])]


def _expected_s(job: JobParams, rule: str, config: Mapping[str, Any]) -> float:
    networks = job.networks if rule == "enhance_scene" else ()
    speed = default_speed(rule, on_gpu=True, networks=networks, model=str(config["subtitles"]["model"]))
    # The length of ready scenes is not known before the probe, and the batches must not change with it.
    if job.tape.is_folder:
        return speed.seconds(USUAL_LOAD.units(rule_info(rule).unit, MAX_SCENE_S))
    return speed.seconds(units_of_job(job, rule))

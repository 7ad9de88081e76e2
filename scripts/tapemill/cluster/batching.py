"""Which scenes of a tape one submission does: neighbours, as many as are expected to take so long altogether.

The division depends on the scene table and the settings alone. So the process on the node, which knows no other job
than those it was sent, finds the same names; and when some scenes of a group are done, the others still belong
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from tapemill.workflow.cost_model import LONGEST_S, Stage, expected_s
from tapemill.workflow.job_params import JobParams

Kind = Literal["picture", "speech", "sound"]
"""What is done together: cuts and their enhancement, sound and what is spoken, sound alone."""

SCENES_AT_MOST: Final = 250
"""Names of all jobs stand in one argument of a command line, which Linux limits to 128 KB (MAX_ARG_STRLEN)."""


class GroupName(str):
    """Name of a group of ours: all jobs with this name are one group. Others may be made with `--groups`."""

    __slots__ = ()


def divide(seconds: Sequence[float], group_s: float) -> list[int]:
    """The number of the batch of each scene, from 1. `seconds` they are expected to take, in the order of the tape.

    Batches are about equally long: no short one is left over at the end.
    """
    whole = max(1, round(sum(seconds) / group_s))
    aim_s = sum(seconds) / whole
    numbers: list[int] = []
    batch, filled_s, scenes = 1, 0.0, 0
    for own_s in seconds:
        if scenes and (filled_s + own_s / 2 > aim_s or scenes == SCENES_AT_MOST):
            batch, filled_s, scenes = batch + 1, 0.0, 0
        numbers.append(batch)
        filled_s += own_s
        scenes += 1
    return numbers


def together(
    workflow: Any, planned: Callable[[Any], JobParams], config: Mapping[str, Any]
) -> Callable[[Kind | Callable[[Any], Kind]], Callable[[Any], GroupName | None]]:
    """For rules of single scenes: makes the function behind `group:` of the kind of work, or a function that tells it.

    `planned` finds the job of wildcards. There are groups only where Snakemake's workflow submits jobs to a cluster;
    nothing is submitted of a dry run.
    """
    known: dict[tuple[str, Kind], tuple[object, dict[str, GroupName]]] = {}

    def names(job: JobParams, kind: Kind) -> dict[str, GroupName]:
        scenes = job.tape.folder if job.tape.is_folder else job.scenes
        tape = job.tape.row.tape
        # The table is the same object until it is written anew.
        if (tape, kind) not in known or known[tape, kind][0] is not scenes:
            known[tape, kind] = (scenes, dict(_named(job, kind, list(scenes), config)))
        return known[tape, kind][1]

    def of_kind(kind: Kind | Callable[[Any], Kind]) -> Callable[[Any], GroupName | None]:
        def group(wildcards: Any) -> GroupName | None:
            if workflow.local_exec:
                return None
            return names(planned(wildcards), kind(wildcards) if callable(kind) else kind).get(wildcards.scene)

        return group

    return of_kind


def _named(
    job: JobParams, kind: Kind, ids: Sequence[str], config: Mapping[str, Any]
) -> Iterator[tuple[str, GroupName]]:
    stages = _stages(kind, translates=bool(config["subtitles"]["translate"]))
    seconds = [sum(_expected_s(replace(job, scene_id=id), stage, config) for stage in stages) for id in ids]
    for id, number in zip(ids, divide(seconds, 60 * config["cluster"]["group_minutes"]), strict=True):
        yield id, GroupName(f"{job.tape.row.tape}-{kind}-{number:03}")


def _stages(kind: Kind, *, translates: bool) -> list[Stage]:
    if kind == "picture":
        return ["cut", "picture"]
    return ["sound"] if kind == "sound" else ["sound", "speech", "speech"] if translates else ["sound", "speech"]


def _expected_s(job: JobParams, stage: Stage, config: Mapping[str, Any]) -> float:
    # How long ready scenes are is not known before the probe, and the division must not change with it.
    if job.tape.is_folder:
        return expected_s(stage, video_s=LONGEST_S, model=str(config["subtitles"]["model"]))
    return job.expected_s(stage, config["subtitles"])

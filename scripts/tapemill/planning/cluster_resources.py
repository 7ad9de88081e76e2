"""What a job asks of a cluster's queue: memory and time. On a single machine nobody looks at either.

A queue kills what takes more than it asked for, and lets wait what asks for much. So these are cautious, and each
further attempt asks for twice as much. Time goes with the length of the scene or the tape. Memory does not, since
pictures and sound stream through every job: it goes with their size, and with the models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core.rule_catalog import rule_info
from tapemill.workflow.job_params import JobParams

from .speed import Pace, stated
from .workload import FRAME_SAMPLES, USUAL_BYTES_PER_S, TapeLoad

SAFETY: Final = 3.0
"""Stated paces are right within a factor of two or three (`pace`)."""
START_S: Final = 300.0
"""Python starts three times for a job of Slurm, perhaps from a slow file system; a card's programs are compiled."""
NEXT_S: Final = 60.0
"""Of a scene that is submitted with others (`groups`): only the first has all that to wait for."""
READ_BYTES_PER_S: Final = 30e6
"""Of a file system that many share: what a capture is read at by jobs that do little else."""

PROCESSES_MB: Final = 1_000
"""Snakemake twice, 155 MB each for a short tape, and the script."""
PICTURES_MB: Final = 500
"""An ffmpeg that filters and encodes 576i: 215 MB on the demo tape."""
TORCH_MB: Final = 4_000
"""torch with the driver of a card, which keeps what it compiles in main memory."""
WEIGHTS_TIMES: Final = 3
"""The file of a model while it is read and converted."""
NETWORK_MB: Final = 2_000
"""Pictures of 576 lines before, in and after a network, a few at a time. With the demo's on a processor an enhancement
takes 1,011 MB of everything."""


@dataclass(frozen=True)
class ClusterResources:
    """The resource functions of the rules. What they say is never a reason to rerun."""

    planned: Callable[[Any], JobParams]
    """From wildcards."""
    config: Mapping[str, Any]
    speech_model: Path

    def mem_mb(self, wildcards: Any, attempt: int, rulename: str) -> int:
        """Main memory in MB."""
        job, unit = self.planned(wildcards), rule_info(rulename).unit
        share = _share(job, rulename) if unit in ("video", "pictures") else 0.0
        total = PROCESSES_MB + PICTURES_MB * share
        models: list[str] = []
        if unit == "pictures":
            models = [step.file for step in job.networks]
            total += NETWORK_MB * share if models else 0.0
        elif rule_info(rulename).uses_gpu:
            models = [str(self.speech_model)]
        if models:
            total += TORCH_MB + WEIGHTS_TIMES * sum(_bytes(Path(file)) for file in models) / 1e6
        return _doubled(total, attempt)

    def minutes(self, wildcards: Any, attempt: int, rulename: str) -> int:
        """Time until the queue may kill it."""
        job = self.planned(wildcards)
        seconds = SAFETY * self._pace(job, rulename).seconds(_units(job, rulename))
        if rule_info(rulename).reads_capture:
            seconds += sum(_bytes(file) for file in job.tape.files) / READ_BYTES_PER_S
        start_s = START_S if job.scene_id is None else NEXT_S
        return _doubled((start_s + seconds) / 60, attempt)

    def _pace(self, job: JobParams, rule: str) -> Pace:
        networks = job.networks if rule == "enhance_scene" else ()
        # Without networks, the pictures are the processor's work whether or not a card encodes them.
        return stated(
            rule,
            on_card=self.config["lanes"]["device"] != "cpu" and (bool(networks) or rule != "enhance_scene"),
            networks=networks,
            model=str(self.speech_model),
            language_scenes=self.config["subtitles"]["language_scenes"],
        )


def _doubled(number: float, attempt: int) -> int:
    return math.ceil(number) << (attempt - 1)


def _share(job: JobParams, rule: str) -> float:
    """Samples of a picture compared with 576i."""
    if rule == "probe_capture":
        return 1.0
    picture = job.capture.picture
    return picture.width * picture.height / FRAME_SAMPLES


def _units(job: JobParams, rule: str) -> float:
    """How much work it is, in the unit of its rule."""
    unit = rule_info(rule).unit
    if unit == "once":
        return 0.0
    if rule == "probe_capture":
        # Nothing is known of the capture but its size.
        return sum(_bytes(file) for file in job.tape.files) / USUAL_BYTES_PER_S
    capture = job.capture
    frames = capture.frames if job.scene_id is None else job.frames
    rate = float(capture.picture.rate)
    load = TapeLoad(
        scenes=(),
        are_scenes_known=True,
        is_length_known=True,
        samples_share=_share(job, rule),
        frames_per_s=rate,
        pictures_per_frame=job.enhance.output(capture.picture).frames_per_frame,
    )
    return load.units(unit, frames / rate)


def _bytes(file: Path) -> int:
    """Of a file; 0 while it is not there."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

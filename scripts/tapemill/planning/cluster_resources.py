"""Memory and time that a job requests from a cluster. On a single machine they are not used.

A cluster kills jobs that exceed their request, and lets large requests wait. So the figures are cautious, and each
retry requests twice as much. Time depends on the length of the scene or the tape. Memory does not, because frames and
audio stream through every job: it depends on the frame size and on the models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tapemill.core.rule_catalog import rule_info
from tapemill.workflow.cost_model import SpeedModel, default_speed
from tapemill.workflow.job_params import JobParams
from tapemill.workflow.workload import FRAME_SAMPLES, units_of_job

SAFETY: Final = 3.0
"""Default speeds are right within a factor of two or three (`workflow.cost_model`)."""
START_S: Final = 300.0
"""Python starts three times for a job of Slurm, perhaps from a slow file system; GPU kernels are compiled."""
NEXT_SCENE_S: Final = 60.0
"""Of a scene that is submitted with others (`cluster`): only the first one waits for the whole start."""
READ_BYTES_PER_S: Final = 30e6
"""Reading speed of jobs that mainly read the capture, on a shared file system."""

PROCESSES_MB: Final = 1_000
"""Snakemake twice, 155 MB each for a short tape, and the script."""
FRAMES_MB: Final = 500
"""An ffmpeg that filters and encodes 576i: 215 MB on the demo tape."""
TORCH_MB: Final = 4_000
"""torch with the driver of a GPU, which keeps compiled kernels in main memory."""
WEIGHTS_FACTOR: Final = 3
"""Memory for a model while it is read and converted, as a multiple of its file."""
NETWORK_MB: Final = 2_000
"""Frames of 576 lines before, in and after a network, a few at a time. With the demo's network on the CPU, an
enhancement takes 1,011 MB in all."""


@dataclass(frozen=True)
class ClusterResources:
    """Resource functions of the rules. Their values are never a reason to rerun."""

    planned: Callable[[Any], JobParams]
    """Params of a job by its wildcards."""
    config: Mapping[str, Any]
    speech_model: Path

    def mem_mb(self, wildcards: Any, attempt: int, rulename: str) -> int:
        """Main memory in MB."""
        job, unit = self.planned(wildcards), rule_info(rulename).unit
        share = _share(job, rulename) if unit in ("video", "frames") else 0.0
        total = PROCESSES_MB + FRAMES_MB * share
        models: list[str] = []
        if unit == "frames":
            models = [step.file for step in job.networks]
            total += NETWORK_MB * share if models else 0.0
        elif rule_info(rulename).uses_gpu:
            models = [str(self.speech_model)]
        if models:
            total += TORCH_MB + WEIGHTS_FACTOR * sum(_bytes(Path(file)) for file in models) / 1e6
        return _doubled(total, attempt)

    def minutes(self, wildcards: Any, attempt: int, rulename: str) -> int:
        """Time limit in minutes."""
        job = self.planned(wildcards)
        seconds = SAFETY * self._speed(job, rulename).seconds(units_of_job(job, rulename))
        if rule_info(rulename).reads_capture:
            seconds += sum(_bytes(file) for file in job.tape.files) / READ_BYTES_PER_S
        start_s = START_S if job.scene_id is None else NEXT_SCENE_S
        return _doubled((start_s + seconds) / 60, attempt)

    def _speed(self, job: JobParams, rule: str) -> SpeedModel:
        networks = job.networks if rule == "enhance_scene" else ()
        # Without networks the CPU does the work, whether or not a GPU encodes.
        return default_speed(
            rule,
            on_gpu=self.config["lanes"]["device"] != "cpu" and (bool(networks) or rule != "enhance_scene"),
            networks=networks,
            model=str(self.speech_model),
            language_scenes=self.config["subtitles"]["language_scenes"],
        )


def _doubled(number: float, attempt: int) -> int:
    return math.ceil(number) << (attempt - 1)


def _share(job: JobParams, rule: str) -> float:
    """Samples of a frame, as a share of those of 576i."""
    if rule == "probe_capture":
        return 1.0
    picture = job.capture.picture
    return picture.width * picture.height / FRAME_SAMPLES


def _bytes(file: Path) -> int:
    """Size of a file; 0 if it does not exist."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

"""Cost model of jobs: a fixed time and a time per unit of work, by default or fitted to measurements of this machine.

The one source of expected times: the scheduler's order (`expected_s`), the plan, the batches of a cluster, the time
left of a run. The defaults of rules without a model are in `core.rule_catalog`, those of models here.

Defaults for one core were measured on the demo tape (60 s of 576i in FFV1, two jobs at a time on two cores). Defaults
for GPUs are rough figures for an Arc A770 at a warm lane. They are right within a factor of two or three: enough to
distinguish an evening from a week before anything has run, and to start long jobs first.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from tapemill.core.rule_catalog import rule_info
from tapemill.core.timing import evenly_spaced
from tapemill.enhance.chain import NetworkStep

from .workload import FRAME_SAMPLES, LANGUAGE_WINDOW_S


@dataclass(frozen=True)
class SpeedModel:
    """Time of a kind of job as a function of its work."""

    fixed_s: float
    """Before the first unit: start of the process, loading, opening files."""
    s_per_unit: float
    jobs: int = 0
    """Number of jobs it was fitted to; 0 for a default."""

    @property
    def is_measured(self) -> bool:
        """Whether it was fitted to jobs of this machine."""
        return self.jobs > 0

    def seconds(self, units: float) -> float:
        """Expected time of a job with so many units of work."""
        return self.fixed_s + self.s_per_unit * units


@dataclass(frozen=True)
class Measurement:
    """Time of one finished job."""

    units: float
    seconds: float


@dataclass(frozen=True)
class WhisperSpeed:
    """Default speeds of a Whisper model, for a second of audio."""

    gpu: SpeedModel
    """Half precision, beam search, word times."""
    core: SpeedModel
    """Calculated, not measured: twice as many operations as the model has weights (openai-whisper's README), for 1,500
    positions of the encoder in 30 s and some 100 words in 5 beams."""


WHISPER: Final[Mapping[str, WhisperSpeed]] = {
    "demo": WhisperSpeed(SpeedModel(0.5, 0.01), SpeedModel(0.3, 0.03)),
    "tiny": WhisperSpeed(SpeedModel(0.5, 0.02), SpeedModel(0.3, 0.1)),
    "base": WhisperSpeed(SpeedModel(0.5, 0.03), SpeedModel(0.3, 0.2)),
    "small": WhisperSpeed(SpeedModel(1.0, 0.06), SpeedModel(0.3, 0.6)),
    "medium": WhisperSpeed(SpeedModel(1.5, 0.12), SpeedModel(0.3, 1.8)),
    "large-v3-turbo": WhisperSpeed(SpeedModel(2.0, 0.06), SpeedModel(0.3, 2.8)),
    "turbo": WhisperSpeed(SpeedModel(2.0, 0.06), SpeedModel(0.3, 2.8)),
    "large": WhisperSpeed(SpeedModel(2.0, 0.2), SpeedModel(0.3, 3.6)),
}
"""By the beginning of a model's name, the more particular first."""
UNKNOWN_WHISPER: Final = WHISPER["medium"]
LANGUAGE_SHARE: Final = 0.2
"""Time of a language vote, as a share of a transcription: one pass of the encoder, without decoding."""

CORE_FILTERS: Final = SpeedModel(0.7, 0.05)
"""Filters of preset `fast` on one core, for each frame of 576i."""
GPU_FILTERS: Final = SpeedModel(2.0, 0.014)
"""The same beside a GPU: filters and decoding run on several cores and take longer than any hardware encoder."""
GPU_NETWORK_S: Final[Mapping[str, float]] = {"frame": 0.1, "vrt": 2.0}
"""Time of a network on a GPU by its kind, for one frame of 720 × 576 samples in half precision."""
CORE_FLOPS: Final = 25e9
"""Operations a second of one core with torch: the demo's network has 5,600 weights, 4.6 GFLOP a frame, which takes
0.18 s."""
VRT_FLOP: Final = 12e12
"""Operations for a frame of 576i, overlaps included (README, "Measured")."""
FLOP_PER_WEIGHT: Final = 2 * FRAME_SAMPLES
"""A convolution applies each of its weights once for each sample: a product and a sum."""
WEIGHT_BYTES: Final = 4
DEMO_CAPTURE: Final = SpeedModel(60.0, 0.0)
"""Drawing the demo tape."""

FIT_MIN_JOBS: Final = 4
"""Fewest jobs to which both parts are fitted, if their work differs by this factor:"""
FIT_MIN_SPREAD: Final = 1.5
FIT_MAX_JOBS: Final = 60
"""More jobs do not improve a fit, and its time grows with their square."""
OUTLIER_FACTOR: Final = 3.0
"""A job that took so many times longer than others of its size had another reason: a driver's start, a wait."""


def default_speed(
    rule: str, *, on_gpu: bool, networks: Sequence[NetworkStep] = (), model: str = "", language_scenes: int = 0
) -> SpeedModel:
    """Return the default speed of a rule.

    `networks` are those of the scene's chain, `model` is the name or file of the Whisper model, `language_scenes` the
    number of scenes that vote on the language of a tape.
    """
    if rule == "enhance_scene":
        return _enhance_on_gpu(networks) if on_gpu else _enhance_on_core(networks)
    if rule in ("transcribe_scene", "translate_scene"):
        return whisper_speed(model, on_gpu=on_gpu)
    if rule == "detect_language":
        speed = whisper_speed(model, on_gpu=on_gpu)
        return SpeedModel(speed.seconds(LANGUAGE_SHARE * language_scenes * LANGUAGE_WINDOW_S), 0.0)
    info = rule_info(rule)
    return DEMO_CAPTURE if rule == "make_demo_capture" else SpeedModel(info.fixed_s, info.s_per_unit)


def whisper_speed(model: str, *, on_gpu: bool) -> SpeedModel:
    """Return the default speed of a Whisper model, by the name or file in the setting `subtitles: model`."""
    name = Path(model).name
    speeds = next((speeds for start, speeds in WHISPER.items() if name.startswith(start)), UNKNOWN_WHISPER)
    return speeds.gpu if on_gpu else speeds.core


def _enhance_on_gpu(networks: Sequence[NetworkStep]) -> SpeedModel:
    networks_s = sum(GPU_NETWORK_S[step.kind] for step in networks)
    return SpeedModel(GPU_FILTERS.fixed_s, GPU_FILTERS.s_per_unit + networks_s)


def _enhance_on_core(networks: Sequence[NetworkStep]) -> SpeedModel:
    flop = sum(VRT_FLOP if step.kind == "vrt" else FLOP_PER_WEIGHT * _weights(Path(step.file)) for step in networks)
    return SpeedModel(CORE_FILTERS.fixed_s, CORE_FILTERS.s_per_unit + flop / CORE_FLOPS)


def _weights(file: Path) -> float:
    """Number of weights by the size of a model's file, which holds little else; 0 if it does not exist."""
    return file.stat().st_size / WEIGHT_BYTES if file.exists() else 0.0


def fit(measurements: Sequence[Measurement], default: SpeedModel) -> SpeedModel:
    """Fit a speed to jobs of this machine, by medians, so that a few outliers do not matter.

    The slope is that of Theil and Sen, the median of the slopes between any two jobs. With too few jobs, or jobs all of
    the same size, both parts of `default` are scaled instead.
    """
    if not measurements:
        return default
    chosen = evenly_spaced(measurements, FIT_MAX_JOBS)
    least, most = min(each.units for each in chosen), max(each.units for each in chosen)
    if len(chosen) < FIT_MIN_JOBS or most < FIT_MIN_SPREAD * max(least, 1e-9):
        factor = statistics.median(each.seconds / default.seconds(each.units) for each in chosen)
        return SpeedModel(factor * default.fixed_s, factor * default.s_per_unit, len(measurements))
    slopes = [(b.seconds - a.seconds) / (b.units - a.units) for a, b in combinations(chosen, 2) if a.units != b.units]
    slope = max(0.0, statistics.median(slopes))
    fixed_s = max(0.0, statistics.median(each.seconds - slope * each.units for each in chosen))
    line = SpeedModel(fixed_s, slope)
    # A plan adds up many jobs: the line must give the sum of the jobs near it, not their median.
    near = [each for each in chosen if each.seconds < OUTLIER_FACTOR * max(line.seconds(each.units), 1e-9)]
    expected_s = sum(line.seconds(each.units) for each in near)
    factor = sum(each.seconds for each in near) / expected_s if expected_s else 1.0
    return SpeedModel(factor * fixed_s, factor * slope, len(measurements))

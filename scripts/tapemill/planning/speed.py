"""How long a job takes: a fixed part and a part that goes with its work. Measured on this machine, or stated here.

Stated figures for one core were measured on the demo tape (60 s of 576i in FFV1, two jobs at a time on two cores).
Those for cards are from `effort`. They are right within a factor of two or three; what they are for is to tell an
evening from a week before anything has run.
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
from tapemill.workflow import cost_model

from .workload import FRAME_SAMPLES, USUAL_RATE

CORE_FLOPS: Final = 25e9
"""Operations a second of one core with torch: the demo's network has 5,600 weights, 4.6 GFLOP a picture, which takes
0.18 s."""
VRT_FLOP: Final = 12e12
"""A picture of 576i, overlaps included (README, "Measured")."""
FLOP_OF_WEIGHT: Final = 2 * FRAME_SAMPLES
"""A convolution applies each of its weights once for each sample: a product and a sum."""
WEIGHT_BYTES: Final = 4

# Whisper on one core, seconds for a second of sound. Reckoned, not measured: twice as many operations as the model has
# weights (openai-whisper's README), for 1,500 positions of the encoder in 30 s and some 100 words in 5 beams.
SPEECH: Final[Mapping[str, float]] = {
    "demo": 0.03,
    "tiny": 0.1,
    "base": 0.2,
    "small": 0.6,
    "medium": 1.8,
    "large-v3-turbo": 2.8,
    "turbo": 2.8,
    "large": 3.6,
}
LANGUAGE_SHARE: Final = 0.2
FEWEST: Final = 4
"""Jobs from which on the fixed part can be told from the other, if they differ in size by this factor."""
SPREAD: Final = 1.5
UNUSUAL: Final = 3.0
"""A job that took so many times longer than others of its size met with something else: a driver's start, a wait."""
MOST: Final = 60
"""More jobs than these make a fit no better, and its time grows with their square."""


@dataclass(frozen=True)
class Pace:
    """What a kind of job costs."""

    fixed_s: float
    s_per_unit: float
    jobs: int = 0
    """How many jobs it was measured on; 0 if it is a stated figure."""

    @property
    def is_measured(self) -> bool:
        """Whether it comes from this machine."""
        return self.jobs > 0

    def seconds(self, units: float) -> float:
        """For so much work."""
        return self.fixed_s + self.s_per_unit * units


@dataclass(frozen=True)
class Sample:
    """One job that was done here."""

    units: float
    seconds: float


DEMO: Final = Pace(60.0, 0.0)
"""Drawing the demo tape."""
ENHANCE: Final = Pace(0.7, 0.05)
"""The filters of preset `fast`, for each picture."""


def stated(
    rule: str, *, on_card: bool, networks: Sequence[NetworkStep] = (), model: str = "", language_scenes: int = 0
) -> Pace:
    """The pace of a rule where nothing was measured. `networks` are those of the scene, `model` the speech model."""
    if rule == "enhance_scene":
        return _on_card(networks) if on_card else _on_core(networks)
    if rule in ("transcribe_scene", "translate_scene"):
        return _speech(model, on_card=on_card)
    if rule == "detect_language":
        heard_s = language_scenes * 30.0
        pace = _speech(model, on_card=on_card)
        return Pace(pace.fixed_s + LANGUAGE_SHARE * pace.s_per_unit * heard_s, 0.0)
    row = rule_info(rule)
    return DEMO if rule == "make_demo_capture" else Pace(row.fixed_s, row.s_per_unit)


def _speech(model: str, *, on_card: bool) -> Pace:
    if on_card:
        known = cost_model.speech_pace(model)
        return Pace(known.start_s, known.s_per_s)
    name = Path(model).name
    return Pace(0.3, next((s_per_s for start, s_per_s in SPEECH.items() if name.startswith(start)), SPEECH["medium"]))


def _on_card(networks: Sequence[NetworkStep]) -> Pace:
    """Filters and decoding run on the processor all the same."""
    filters_s = cost_model.PICTURE.s_per_s / (2 * USUAL_RATE)
    return Pace(cost_model.PICTURE.start_s, filters_s + sum(cost_model.NETWORK_S[step.kind] for step in networks))


def _on_core(networks: Sequence[NetworkStep]) -> Pace:
    flop = sum(VRT_FLOP if step.kind == "vrt" else FLOP_OF_WEIGHT * _weights(Path(step.file)) for step in networks)
    return Pace(ENHANCE.fixed_s, ENHANCE.s_per_unit + flop / CORE_FLOPS)


def _weights(file: Path) -> float:
    """By the size of a model's file, which holds little else; 0 if it is not there."""
    return file.stat().st_size / WEIGHT_BYTES if file.exists() else 0.0


def fitted(samples: Sequence[Sample], otherwise: Pace) -> Pace:
    """The pace that jobs of this machine had. A few that took unusually long do not matter: all is by medians.

    The slope is that of Theil and Sen, the median of those between any two jobs. Too few jobs, or jobs all alike, only
    say by how much `otherwise` is too quick or too slow.
    """
    if not samples:
        return otherwise
    chosen = evenly_spaced(samples, MOST)
    least, most = min(sample.units for sample in chosen), max(sample.units for sample in chosen)
    if len(chosen) < FEWEST or most < SPREAD * max(least, 1e-9):
        factor = statistics.median(sample.seconds / otherwise.seconds(sample.units) for sample in chosen)
        return Pace(factor * otherwise.fixed_s, factor * otherwise.s_per_unit, len(samples))
    slopes = [(b.seconds - a.seconds) / (b.units - a.units) for a, b in combinations(chosen, 2) if a.units != b.units]
    slope = max(0.0, statistics.median(slopes))
    fixed_s = max(0.0, statistics.median(sample.seconds - slope * sample.units for sample in chosen))
    line = Pace(fixed_s, slope)
    # A plan adds up many jobs: so the line is to give the sum of those that are near it, not the median.
    near = [sample for sample in chosen if sample.seconds < UNUSUAL * max(line.seconds(sample.units), 1e-9)]
    reckoned_s = sum(line.seconds(sample.units) for sample in near)
    factor = sum(sample.seconds for sample in near) / reckoned_s if reckoned_s else 1.0
    return Pace(factor * fixed_s, factor * slope, len(samples))

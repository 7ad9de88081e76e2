"""How long jobs are expected to take on a card: the order in which they start, and when one is held to hang.

Rough figures for an Arc A770 at a warm lane, not measured on every card. They need only rank jobs rightly: with all of
them twice too high or too low, the same jobs start in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Stage = Literal["language", "speech", "encoder", "picture", "cut", "sound"]


@dataclass(frozen=True)
class Pace:
    """What a kind of work costs."""

    start_s: float
    """Before the first frame: loading, opening files."""
    s_per_s: float
    """For each second of video."""

    def expected_s(self, video_s: float) -> int:
        """Whole seconds for so much video, at least 1."""
        return max(1, math.ceil(self.start_s + self.s_per_s * video_s))


# Whisper by the beginning of a model's name, the more particular first. Half precision, beam search, word times.
SPEECH: Final[Mapping[str, Pace]] = {
    "demo": Pace(0.5, 0.01),
    "tiny": Pace(0.5, 0.02),
    "base": Pace(0.5, 0.03),
    "small": Pace(1.0, 0.06),
    "medium": Pace(1.5, 0.12),
    "large-v3-turbo": Pace(2.0, 0.06),
    "turbo": Pace(2.0, 0.06),
    "large": Pace(2.0, 0.2),
}
UNKNOWN_MODEL: Final = SPEECH["medium"]
# A vote hears the first words of a scene and decodes nothing: one pass of the encoder.
LANGUAGE_SHARE: Final = 0.2
# A dozen frames and a driver to load.
ENCODER_TRIAL_S: Final = 5
# Filters and decoding run on the processor and take longer than any hardware encoder.
PICTURE: Final = Pace(2.0, 0.7)
# Work on the processor, with the start of its script.
CUT: Final = Pace(2.0, 0.2)
SOUND: Final = Pace(1.5, 0.02)
WITHOUT_MODEL: Final[Mapping[str, Pace]] = {"picture": PICTURE, "cut": CUT, "sound": SOUND}
LONGEST_S: Final = 30.0
"""For a scene of unknown length: the longest that is cut."""
# A network for one picture of 720 × 576 samples in half precision.
NETWORK_S: Final[Mapping[str, float]] = {"frame": 0.1, "vrt": 2.0}


def speech_pace(model: str) -> Pace:
    """The pace of a Whisper model, by the name or file of the setting `subtitles.model`."""
    name = Path(model).name
    return next((pace for start, pace in SPEECH.items() if name.startswith(start)), UNKNOWN_MODEL)


def networks_s(kinds: Iterable[str], pictures: int) -> int:
    """Whole seconds that the networks of a chain, by their kinds, add for so many pictures."""
    return math.ceil(sum(NETWORK_S[kind] for kind in kinds) * pictures)


def expected_s(stage: Stage, *, video_s: float, model: str) -> int:
    """Seconds that one job is expected to take, on a card unless it needs none.

    `video_s` is what it sees or hears, `model` the speech model.
    """
    if stage == "encoder":
        return ENCODER_TRIAL_S
    if stage in WITHOUT_MODEL:
        return WITHOUT_MODEL[stage].expected_s(video_s)
    pace = speech_pace(model)
    return pace.expected_s(video_s if stage == "speech" else LANGUAGE_SHARE * video_s)

"""Settings of the stage subtitles; meaning, unit and range of each are in the schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tapemill.core.errors import ConfigError

# The settings that a transcript depends on. The others only concern the cues, which are cheap to lay out again.
RECOGNITION_KEYS = (
    *("vad_threshold", "vad_min_speech_s", "vad_min_silence_s", "vad_pad_s", "speech_join_s"),
    *("prompt", "temperatures", "beam_size", "condition_on_previous_text", "word_timestamps"),
    *("no_speech_threshold", "logprob_threshold", "compression_ratio_threshold", "torch_threads", "seed"),
)


@dataclass(frozen=True)
class SubtitlesSettings:
    """Section `subtitles` of the config."""

    model: str
    language_scenes: int
    translate: bool
    vad_threshold: float
    vad_min_speech_s: float
    vad_min_silence_s: float
    vad_pad_s: float
    speech_join_s: float
    prompt: str
    temperatures: Sequence[float]
    beam_size: int
    condition_on_previous_text: bool
    word_timestamps: bool
    no_speech_threshold: float
    logprob_threshold: float
    compression_ratio_threshold: float
    repeat_limit: int
    line_characters: int
    lines: int
    cue_shortest_s: float
    cue_longest_s: float
    characters_per_s: float
    gap_frames: int
    torch_threads: int
    seed: int

    def __post_init__(self) -> None:
        if self.cue_shortest_s > self.cue_longest_s:
            raise ConfigError(
                f"subtitles: cue_shortest_s ({self.cue_shortest_s}) is longer than cue_longest_s "
                f"({self.cue_longest_s})",
                remedy="raise cue_longest_s or lower cue_shortest_s",
            )

    def recognition(self) -> dict[str, Any]:
        """The settings that a transcript depends on, as JSON values."""
        values = asdict(self)
        return {key: list(values[key]) if key == "temperatures" else values[key] for key in RECOGNITION_KEYS}

"""Record of the subtitles of a scene (`subtitles/{scene}.json`, `translated/{scene}.json`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tapemill.core.job_warnings import JobWarning
from tapemill.storage.typed_json import JsonRecord, optional, unknown_keys

from .common import Failure, Rejection, Sha256
from .speech import Segment, SpeechRegion

AsrTask = Literal["transcribe", "translate"]


@dataclass(frozen=True)
class AsrInputs(JsonRecord):
    """All that a recognition depends on."""

    audio_sha256: Sha256
    """Of the audio that was transcribed."""
    model_sha256: str
    """Of the requested model."""
    task: AsrTask
    language: str | None
    """Null if it was detected in the scene."""
    settings: Mapping[str, Any]
    """Settings of the recognition."""
    recipe: int
    versions: Mapping[str, str]
    """Versions by package."""


@dataclass(frozen=True)
class HeardSpeech(JsonRecord):
    """Result of a recognition."""

    language: str | None
    speech: tuple[SpeechRegion, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class AsrDowngrade(JsonRecord):
    """Recognition that was used instead of the requested one, for lack of memory."""

    model: str
    model_sha256: str
    beam_size: int
    decisions: tuple[Rejection, ...]


@dataclass(frozen=True)
class RemovedSegment(JsonRecord):
    """Segment that the hallucination filter dropped, with times in milliseconds of the scene."""

    start_ms: int
    stop_ms: int
    text: str
    reason: str


@dataclass(frozen=True)
class SubtitleRecord(JsonRecord):
    """How the subtitles of a scene were made."""

    srt_sha256: Sha256 | None = None
    """Of the SRT as it was written."""
    replaced_srt_sha256: Sha256 | None = None
    """Of the SRT before it, so that after a crash neither counts as corrected by hand."""
    made_from: AsrInputs | None = optional()
    heard: HeardSpeech | None = optional()
    removed: tuple[RemovedSegment, ...] | None = optional()
    lowered: AsrDowngrade | None = optional()
    left_empty: Failure | None = optional()
    """Why there are no subtitles."""
    note: str | None = optional()
    """Set if the SRT was corrected by hand and kept."""
    unknown: Mapping[str, Any] = unknown_keys()

    def warnings(self, scene: str = "") -> Iterator[JobWarning]:
        """Yield the deviations from the request: left empty, recognition downgraded.

        `scene` is the name for the warnings, if they are not of the job's own scene.
        """
        if self.left_empty:
            yield JobWarning("empty", str(self.left_empty), scene)
        if self.lowered:
            reason = f"transcribed with {self.lowered.model}, beam of {self.lowered.beam_size}"
            yield JobWarning("lowered", reason, scene)


@dataclass(frozen=True)
class LanguageRecord(JsonRecord):
    """Language of a tape, as voted by its scenes (`language.json`)."""

    language: str | None
    """Null if there is no speech."""
    votes: Mapping[str, str] = field(default_factory=dict)
    """The most probable language of each scene with speech."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Means over the scenes; small ones are left out."""
    lowered: AsrDowngrade | None = optional()

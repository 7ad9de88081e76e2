"""Typed model of `provenance.json`. The schema in config/schemas is generated from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from tapemill.media.ffmpeg.version import FfmpegBuild
from tapemill.records.audio import AudioRecord
from tapemill.records.clip import ClipRecord
from tapemill.records.common import Count, Failure, SceneName, Sha256
from tapemill.records.subtitles import AsrDowngrade, AsrTask
from tapemill.storage.typed_json import Constraint, JsonRecord, optional

FORMAT: Final = 3
Time = Annotated[str, Constraint(format="date-time")]
Positive = Annotated[int, Constraint(minimum=1)]


@dataclass(frozen=True)
class CaptureFile:
    """One media file of the capture."""

    size_bytes: Count
    fingerprint: str
    """Size and a hash of some blocks; the tape's tags name the capture by it."""
    sha256: Sha256


@dataclass(frozen=True)
class CaptureInputs:
    """Capture of the tape."""

    kind: Literal["file", "folder"]
    files: tuple[CaptureFile, ...]
    """In order; for a folder of scenes, one for each."""
    facts: Mapping[str, Any]
    """The content of capture.json without file names."""


@dataclass(frozen=True)
class SheetRow:
    """Row of the sheet, without id and source."""

    title: str
    date: str
    language: str
    field_order: str
    aspect: str
    film: str | None = optional()


@dataclass(frozen=True)
class Settings:
    """Sections of the config that a tape depends on, complete, with the full chain of `enhance`.

    Models are named by their files.
    """

    capture: Mapping[str, Any]
    scenes: Mapping[str, Any]
    audio: Mapping[str, Any]
    subtitles: Mapping[str, Any]
    enhance: Mapping[str, Any]
    tape: Mapping[str, Any]


@dataclass(frozen=True)
class SceneOverride(JsonRecord):
    """Row of the table of overrides for this tape."""

    scene: str
    frames: tuple[int, int] | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class UsedModel:
    """Model that was used."""

    used_for: Literal["enhance", "subtitles", "speech detection"]
    name: str
    sha256: Sha256


@dataclass(frozen=True)
class Seeds:
    """Seeds of random numbers. That of the grain filter is in its command."""

    subtitles: int
    enhance: tuple[int, ...]
    """Of the networks."""


@dataclass(frozen=True)
class TapemillVersion:
    """Version of Tapemill."""

    version: str
    code_sha256: Sha256
    """Of all files that a tape depends on: Snakefile, rules, scripts, schemas."""
    recipes: Mapping[str, int]
    """Numbers of the stages' recipes."""


@dataclass(frozen=True)
class SceneSubtitles:
    """Record of the subtitles of a scene, without their text."""

    srt_sha256: Sha256
    corrected_by_hand: bool
    audio_sha256: Sha256 | None = optional()
    """Of the audio that was transcribed."""
    model_sha256: str | None = optional()
    """Of the requested model."""
    task: AsrTask | None = optional()
    language: str | None = optional()
    """Missing if it was detected in the scene."""
    lowered: AsrDowngrade | None = optional()
    """Model that was used instead for lack of memory."""
    left_empty: Failure | None = optional()
    """Why there are no subtitles."""


@dataclass(frozen=True)
class SceneHow:
    """How one scene was made."""

    scene: SceneName
    start_frame: Count
    """Of the capture."""
    stop_frame: Positive
    """The frame after the last."""
    enhance: ClipRecord | None
    """The record of the clip without programs; null if there is none."""
    subtitles: SceneSubtitles | None
    """Null if there is no record."""
    translation: SceneSubtitles | None = optional()


@dataclass(frozen=True)
class How:
    """Everything the tape depends on."""

    capture: CaptureInputs
    sheet: SheetRow
    settings: Settings
    scene_overrides: tuple[SceneOverride, ...]
    language: str | None
    """Language spoken on the tape; null if there is no speech."""
    models: tuple[UsedModel, ...]
    seeds: Seeds
    programs: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Programs and their versions by stage, as recorded by the jobs; more than one version if scenes were made at
    different times."""
    tapemill: TapemillVersion
    audio: AudioRecord | None
    """The content of sound.json without programs; null if it is missing."""
    scenes: tuple[SceneHow, ...]


@dataclass(frozen=True)
class ResultFile:
    """Output file."""

    kind: str
    """mkv, mp4, srt, vtt, en.srt"""
    size_bytes: Count
    sha256: Sha256


@dataclass(frozen=True)
class JobRun(JsonRecord):
    """Last successful attempt of a job."""

    run_started: Time
    span_s: tuple[float, float]
    """Start and end, in seconds after the start of its run."""
    attempts: Positive
    """In this run."""
    seconds: float | None = optional()
    lane: str | None = optional()
    device: str | None = optional()
    """Name of the GPU."""
    device_uuid: str | None = optional()
    is_warm: bool | None = optional()
    """Whether a warm worker did it."""
    model: tuple[str, ...] = optional(())
    frames: int | None = optional()
    frames_per_s: float | None = optional()
    peak_memory_bytes: int | None = optional()
    notices: tuple[Mapping[str, Any], ...] = optional(())
    """Finished, but not as requested."""


@dataclass(frozen=True)
class SceneJobs:
    """Jobs of one scene."""

    scene: SceneName
    jobs: Mapping[str, JobRun]
    """By rule; those without events are missing."""


@dataclass(frozen=True)
class Machine:
    """Machine on which this document was written."""

    system: str
    architecture: str
    processor: str
    simd: tuple[str, ...]
    """Instruction sets that decide the order of sums in libraries."""


@dataclass(frozen=True)
class Environment:
    """All programs installed on that machine, in full."""

    python: str
    packages: Mapping[str, str]
    ffmpeg: FfmpegBuild | None
    """Null if it does not report itself."""


@dataclass(frozen=True)
class Checkout:
    """Git checkout of Tapemill."""

    commit: Annotated[str, Constraint(pattern="^[0-9a-f]{40,64}$")] | None
    """Null where there is no git."""
    changed: tuple[str, ...] | None
    """Code files that differ from the commit: none in a clean checkout."""


@dataclass(frozen=True)
class RunSettings:
    """Sections and settings that never change a tape."""

    on_scene_failure: str
    lanes: Mapping[str, Any]
    disk: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """Time, jobs and machine of the work. Nothing here changes a tape."""

    started: Time | None
    """Of the first of these jobs; null if the events are missing."""
    ended: Time
    """Of the last; without events the tape's file time."""
    jobs: Mapping[str, JobRun]
    """Jobs of the whole tape, by rule; those without events are missing."""
    scenes: tuple[SceneJobs, ...]
    machine: Machine
    environment: Environment
    checkout: Checkout
    settings: RunSettings


@dataclass(frozen=True)
class Places:
    """Names of files; for those outside the working folder only the last part of the path."""

    source: str
    capture: tuple[str, ...]
    """Files of the capture."""
    results: tuple[str, ...]
    """Output files."""
    ffmpeg: str | None
    """Another ffmpeg than the included one."""


@dataclass(frozen=True)
class Provenance(JsonRecord):
    """How a tape was made (results/<tape>/provenance.json).

    `how`, `results` and `tags` are the same for two runs with the same inputs, at any time and place; `run` contains
    times, `places` contains paths.
    """

    format: Literal[3]
    """Raised when the meaning of anything here changes."""
    tape: str
    """Id of the tape."""
    how: How
    results: tuple[ResultFile, ...]
    """Output files; the first is the tape."""
    tags: Mapping[str, str]
    """Tags of the tape's file, by name without prefix."""
    run: Run
    places: Places

"""Record of the audio of a tape (`sound.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapemill.storage.typed_json import JsonRecord, optional, optional_mapping, unknown_keys

from .common import Count, Sha256


@dataclass(frozen=True)
class TrackRecord(JsonRecord):
    """How one audio track was made. Counts are in samples."""

    raw: str
    """Format of its samples between decoding and encoding."""
    bits: int
    """Bit depth to keep of the capture's samples: 16 or 24."""
    sample_rate_hz: int
    channels: int
    layout: str
    """ffmpeg's name; "2c" is the usual layout of two channels."""
    samples: Count
    """Length of the track."""
    padded: Count
    """Silence before audio that starts late, and after a scene file's audio that ends early."""
    trimmed: Count
    """Dropped: before the first frame, past the end of a scene file, or far behind the last frame."""
    filled: Count
    """Silence for audio that is missing by the time stamps."""
    overlapping: Count
    """Dropped because it overlaps earlier audio by the time stamps."""
    unreadable_packets: Count
    source_stream: int
    source_codec: str
    filters: tuple[str, ...]
    """ffmpeg filters."""
    noise_floor_db: float | None
    gain_db: float
    loudness_before_lufs: float | None
    loudness_after_lufs: float | None
    true_peak_after_db: float | None
    held_back_by_peak: bool
    """Whether the requested loudness would have clipped."""
    source_channels: tuple[int, ...] | None = optional()
    """Channels of the source, counted from 1, that it has; missing if it has all."""
    stretched_from: Count | None = optional()
    """Length before it was resampled to the length of the picture; missing if it was not."""
    unknown: Mapping[str, Any] = unknown_keys()


@dataclass(frozen=True)
class AudioRecord(JsonRecord):
    """How the audio was made. Files have names in braces in commands, such as {sound}, instead of paths."""

    codec: str
    tracks: tuple[TrackRecord, ...]
    commands: tuple[str, ...] | None = optional()
    """Command lines of ffmpeg; missing if the capture has no audio."""
    programs: Mapping[str, str] = optional_mapping()
    """Versions by program."""
    sha256: Sha256 | None = optional()
    """Of the audio's file. That of version 0.2 and older has none."""
    unknown: Mapping[str, Any] = unknown_keys()

"""Processing of one track of a tape's audio, and its record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

from tapemill.media.capture_info import AudioTrackInfo
from tapemill.records.audio import TrackRecord

from .filters import AudioSettings, Loudness, codec_layout
from .stretch import Stretch
from .timeline import TimelineTrack


@dataclass(frozen=True)
class TrackJob:
    """One decoded track, or some channels of it, and its processing."""

    track: TimelineTrack
    channels: range
    sound: AudioTrackInfo
    stretch: Stretch | None
    chain: tuple[str, ...]
    noise_db: float | None
    loudness: Loudness | None = None
    gain_db: float = 0.0

    @property
    def is_part(self) -> bool:
        """Whether the source has channels that are in other tracks."""
        return len(self.channels) < self.track.format.channels

    @property
    def source_channels(self) -> str:
        """Channels of the source for people, counted from 1."""
        return f"channels {self.channels.start + 1}–{self.channels.stop}"

    @property
    def samples(self) -> int:
        """Length of the track that is written."""
        return self.track.counts.samples if self.stretch is None else self.stretch.wanted

    def source_options(self) -> list[str]:
        """Return the ffmpeg input options of the track's raw samples."""
        rates = self.stretch.rates(self.track.format.sample_rate_hz) if self.stretch else (None,)
        return self.track.source_options(rates[0])

    def record(self, settings: AudioSettings) -> TrackRecord:
        """Return the record of the track."""
        loudness = self.loudness
        form = self.track.format
        if self.is_part:
            form = replace(form, channels=len(self.channels), layout=codec_layout(len(self.channels), settings.codec))
        return TrackRecord(
            **asdict(form),
            **{**asdict(self.track.counts), "samples": self.samples},
            source_stream=self.sound.stream_index,
            source_codec=self.sound.codec,
            filters=self.chain,
            noise_floor_db=None if self.noise_db is None else round(self.noise_db, 2),
            gain_db=round(self.gain_db, 2),
            loudness_before_lufs=_finite(loudness.integrated_lufs if loudness else None),
            loudness_after_lufs=_finite(loudness.integrated_lufs + self.gain_db if loudness else None),
            true_peak_after_db=_finite(loudness.true_peak_db + self.gain_db if loudness else None),
            held_back_by_peak=bool(
                loudness
                and settings.loudness_lufs is not None
                and loudness.integrated_lufs + self.gain_db < settings.loudness_lufs - 0.1
            ),
            source_channels=tuple(channel + 1 for channel in self.channels) if self.is_part else None,
            stretched_from=self.stretch.samples if self.stretch else None,
        )


def _finite(value: float | None) -> float | None:
    # JSON has no infinity; silence has no loudness.
    return round(value, 2) if value is not None and math.isfinite(value) else None

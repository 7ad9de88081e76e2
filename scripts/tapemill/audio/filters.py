"""Audio filters for ffmpeg: channels, hum, hiss and loudness. None of them moves or adds a sample."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tapemill.core.errors import ToolFailed

# Hum is mains frequency and its multiples; above the eighth it is too weak on tapes to be worth a hole in the music.
HUM_HARMONICS = 8
# Notch width as a part of its frequency: covers mains drift and the wow of a home recorder.
NOTCH_WIDTH = 1 / 30
# afftdn works on windows of three steps, one eightieth of a second each, and delays the audio by two steps.
AFFTDN_STEPS_LATE = 2
AFFTDN_STEPS_PER_S = 80
# Range of afftdn's option noise_floor.
NOISE_FLOOR_DB = (-80.0, -20.0)
# Loudness is measured by ebur128: loudnorm's own first pass was 0.6 LU off on audio that swells.
MEASURE = "ebur128=peak=true:framelog=quiet"
# Most channels of a track in FLAC and Opus, and the layout of each number of channels in them (RFC 9639, 9.1.3; RFC
# 7845, 5.1.1.2). Recorders of SDI write 16 channels as one track.
MAX_CHANNELS = 8
LAYOUTS = ("", "mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
# The encoder of AAC keeps little above 200 Hz of the channel for low frequencies, which these do not have.
WITHOUT_LOW_FREQUENCIES = {6: "hexagonal", 7: "7.0", 8: "octagonal"}
# Of as many channels; its encoder in ffmpeg refuses them.
NOT_IN_AAC = frozenset({"downmix", "3.1.2", "5.1.2", "cube"})
ABSOLUTE_GATE_LUFS = -70.0  # silence by EBU R 128
WINDOW_S = 0.1
QUIETEST_QUANTILE = 0.05


@dataclass(frozen=True)
class AudioSettings:
    """Section `audio` of the configuration."""

    tracks: Literal["all", "first"]
    hum_hz: int
    """Mains frequency of the hum to remove; 0 for none."""
    hiss_db: float
    """Reduction of hiss; 0 for none."""
    loudness_lufs: float | None
    """Target integrated loudness, reached by one constant gain; None for no change."""
    true_peak_db: float
    """Limit of the peak after the gain (dBTP)."""
    codec: Literal["flac", "aac", "opus", "pcm"]
    bitrate_kbps: int
    """Per track, for aac and opus."""
    stretch_to_picture: bool = False
    """Whether tracks are resampled to the length of the picture."""


@dataclass(frozen=True)
class Loudness:
    """Loudness of a whole track (EBU R 128)."""

    integrated_lufs: float
    """-inf for silence."""
    true_peak_db: float


def noise_floor_db(samples: np.ndarray, sample_rate_hz: int) -> float | None:
    """Measure the level of hiss in the quietest passages, in dBFS; None for digital silence.

    `samples` has shape (samples, channels). Measured on the difference of neighbouring samples, which ignores hum,
    scaled so that white noise keeps its level.
    """
    window = max(2, int(WINDOW_S * sample_rate_hz))
    scale = np.iinfo(samples.dtype).max if samples.dtype.kind == "i" else 1.0
    levels = []
    for start in range(0, len(samples) - window + 1, window):
        differences = np.diff(samples[start : start + window].astype(np.float64) / scale, axis=0)
        levels.append(float(np.sqrt(np.mean(differences**2) / 2)))
    # Digital silence is padding or a muted input, not the tape.
    audible = [level for level in levels if level > 0]
    return 20 * math.log10(float(np.quantile(audible, QUIETEST_QUANTILE))) if audible else None


def filters(settings: AudioSettings, *, sample_rate_hz: int, noise_db: float | None) -> list[str]:
    """Return the hum and hiss filters of the settings. `noise_db` is from `noise_floor_db`."""
    chain = []
    for harmonic in range(1, HUM_HARMONICS + 1):
        frequency = settings.hum_hz * harmonic
        if 0 < frequency < 0.45 * sample_rate_hz:
            chain.append(f"bandreject=frequency={frequency}:width_type=h:width={frequency * NOTCH_WIDTH:.4f}")
    if settings.hiss_db > 0 and noise_db is not None:
        delay = AFFTDN_STEPS_LATE * (sample_rate_hz // AFFTDN_STEPS_PER_S)
        floor = min(max(noise_db, NOISE_FLOOR_DB[0]), NOISE_FLOOR_DB[1])
        # Silence flushes the filter at its end, and its delay is trimmed from the start.
        chain.append(f"apad=pad_len={delay}")
        chain.append(f"afftdn=noise_reduction={settings.hiss_db:g}:noise_floor={floor:.2f}")
        chain.append(f"atrim=start_sample={delay}")
        chain.append("asetpts=N")
    # Double precision throughout; only the last conversion rounds.
    return ["aformat=sample_fmts=dblp", *chain] if chain else []


def select_channels(channels: range, codec: str) -> str:
    """Return the filter that keeps some channels of a track, MAX_CHANNELS at most, without a change of samples."""
    return f"pan={codec_layout(len(channels), codec)}|" + "|".join(f"c{to}=c{each}" for to, each in enumerate(channels))


def codec_layout(channels: int, codec: str) -> str:
    """Return the layout of a track with so many channels of which no speakers are known."""
    without = WITHOUT_LOW_FREQUENCIES if codec == "aac" else {}
    return without.get(channels, LAYOUTS[channels])


def fit_layout(layout: str, channels: int, codec: str) -> list[str]:
    """Return the filters that bring a layout of MAX_CHANNELS at most to one that the codec has, if it needs any.

    FLAC and PCM have all layouts. Channels are mixed only where a layout has a speaker that no layout of the codec has.
    """
    if (codec == "opus" and layout not in LAYOUTS) or (codec == "aac" and layout in NOT_IN_AAC):
        is_unspecified = layout == f"{channels}c"
        return [
            select_channels(range(channels), codec)
            if is_unspecified
            else f"aformat=channel_layouts={LAYOUTS[channels]}"
        ]
    return []


def gain_db(measured: Loudness, settings: AudioSettings) -> float:
    """Return the gain that brings a track to the target, limited by its peak. 0 for silence or without a target."""
    if settings.loudness_lufs is None or not math.isfinite(measured.integrated_lufs):
        return 0.0
    wanted = settings.loudness_lufs - measured.integrated_lufs
    headroom = settings.true_peak_db - measured.true_peak_db
    return min(wanted, headroom)


def parse_loudness(report: str) -> Loudness:
    """Parse the summary that ffmpeg's filter ebur128 prints. Raises ToolFailed if there is none."""
    summary = report[report.rfind("Summary:") :]
    loudness, peak = re.search(r"\bI:\s+(\S+) LUFS", summary), re.search(r"\bPeak:\s+(\S+) dBFS", summary)
    if loudness is None or peak is None:
        raise ToolFailed(
            "ffmpeg reported no loudness",
            tool="ffmpeg ebur128",
            stderr_tail=report.splitlines()[-12:],
            remedy="set audio: loudness_lufs to null to leave the loudness as it is",
        )
    integrated = float(loudness[1])
    return Loudness(integrated if integrated > ABSOLUTE_GATE_LUFS else -math.inf, float(peak[1]))

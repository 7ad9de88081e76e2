"""How large files will be, before they are made: cautious figures, for the question whether a disk has room.

Measured with ffmpeg 9 on 576i. Where contents decide, the figure is that of noisy tapes, so that clean ones stay below.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from av import VideoFormat

from tapemill.media.capture_info import AudioTrackInfo, VideoInfo

FFV1_SHARE: Final = 0.6
"""Part of the raw picture that FFV1 leaves: 0.55 under the noise of `make bench` (455 kB of 829 kB a frame), 0.38 to
0.41 on the demo tape."""

CLIP_BITS: Final = 0.7
"""Bits for each sample of brightness of a clip in the default quality: 15 Mbit/s at 768 × 576 and 50 frames a second.
The demo tape's clips (libx264, crf 18) have 0.60, 97 MB in 60 s, its worst scene 0.63."""
CRF_HALVES: Final = 6.0
"""So much on the scale of x264 and x265 halves the size (x264's own documentation); the other encoders do not differ
enough to matter here."""

SPEECH_BYTES_PER_S: Final = 2 * 16_000
RAW_SAMPLE_BYTES: Final = 4
"""While sound is worked on; 32 bits at most."""
KEPT_SAMPLE_BYTES: Final = 3
"""FLAC of 24 bits that cannot be compressed, or PCM."""
CONTAINER_SHARE: Final = 1.01
"""Headers, indices, subtitles."""


def raw_bytes(pixel_format: str, width: int, height: int) -> float:
    """One picture, uncompressed."""
    return width * height * VideoFormat(pixel_format, width, height).bits_per_pixel / 8


def cut_bytes(picture: VideoInfo, frames: int, sound: AudioTrackInfo | None) -> int:
    """A lossless cut with its first sound track, and the raw sound that it is made from."""
    total = frames * raw_bytes(picture.pixel_format, picture.width, picture.height) * FFV1_SHARE
    if sound is not None:
        total += sound_samples([sound], frames / picture.rate) * (RAW_SAMPLE_BYTES + KEPT_SAMPLE_BYTES)
    return int(total * CONTAINER_SHARE)


def clip_bytes(
    pixel_format: str, width: int, height: int, frames: int, *, crf: float | None, usual_crf: float | None
) -> int:
    """An enhanced clip. `usual_crf` is what the encoder takes when the config leaves it open; None for lossless."""
    if usual_crf is None:
        return int(frames * raw_bytes(pixel_format, width, height) * FFV1_SHARE * CONTAINER_SHARE)
    better: float = 2 ** ((usual_crf - (usual_crf if crf is None else crf)) / CRF_HALVES)
    # No lossy encoder makes it larger than raw.
    bits = min(CLIP_BITS * better, 8.0)
    return int(frames * width * height * bits / 8 * CONTAINER_SHARE)


def speech_bytes(duration_s: Fraction) -> int:
    """A scene's sound for the recogniser."""
    return int(SPEECH_BYTES_PER_S * duration_s) + 44


def sound_bytes(sounds: Iterable[AudioTrackInfo], duration_s: Fraction) -> int:
    """The tape's sound as it is kept."""
    return int(sound_samples(sounds, duration_s) * KEPT_SAMPLE_BYTES * CONTAINER_SHARE)


def raw_sound_bytes(sounds: Iterable[AudioTrackInfo], duration_s: Fraction) -> int:
    """The tape's sound while it is worked on."""
    return int(sound_samples(sounds, duration_s) * RAW_SAMPLE_BYTES)


def sound_samples(sounds: Iterable[AudioTrackInfo], duration_s: Fraction) -> float:
    """Samples of all channels of all tracks."""
    return sum(sound.sample_rate_hz * sound.channels for sound in sounds) * float(duration_s)

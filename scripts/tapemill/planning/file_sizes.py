"""Expected sizes of files: cautious figures, for the check of free space.

Measured with ffmpeg 9 on 576i. If the size depends on the content, the figure is that of noisy tapes, so that clean
ones stay below.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from av import VideoFormat

from tapemill.media.capture_info import AudioTrackInfo, VideoInfo

FFV1_SHARE: Final = 0.6
"""Size of FFV1 as a share of raw video: 0.55 under the noise of `make bench` (455 kB of 829 kB a frame), 0.38 to 0.41
on the demo tape."""

CLIP_BITS: Final = 0.7
"""Bits per luma sample of a clip in the default quality: 15 Mbit/s at 768 × 576 and 50 frames a second.
The demo tape's clips (libx264, crf 18) have 0.60, 97 MB in 60 s, its worst scene 0.63."""
CRF_HALVES: Final = 6.0
"""Step of crf that halves the size with x264 and x265 (x264's own documentation); other encoders do not differ enough
to matter here."""

SPEECH_BYTES_PER_S: Final = 2 * 16_000
RAW_SAMPLE_BYTES: Final = 4
"""Of temporary audio; 32 bits at most."""
KEPT_SAMPLE_BYTES: Final = 3
"""FLAC of 24 bits that cannot be compressed, or PCM."""
CONTAINER_SHARE: Final = 1.01
"""Headers, indices, subtitles."""


def raw_bytes(pixel_format: str, width: int, height: int) -> float:
    """Size of one uncompressed frame."""
    return width * height * VideoFormat(pixel_format, width, height).bits_per_pixel / 8


def cut_bytes(picture: VideoInfo, frames: int, sound: AudioTrackInfo | None) -> int:
    """Size of a lossless cut with its first audio track, and of the raw audio from which it is made."""
    total = frames * raw_bytes(picture.pixel_format, picture.width, picture.height) * FFV1_SHARE
    if sound is not None:
        total += sound_samples([sound], frames / picture.rate) * (RAW_SAMPLE_BYTES + KEPT_SAMPLE_BYTES)
    return int(total * CONTAINER_SHARE)


def clip_bytes(
    pixel_format: str, width: int, height: int, frames: int, *, crf: float | None, usual_crf: float | None
) -> int:
    """Size of an enhanced clip. `usual_crf` is the encoder's value if the config sets none; None for lossless."""
    if usual_crf is None:
        return int(frames * raw_bytes(pixel_format, width, height) * FFV1_SHARE * CONTAINER_SHARE)
    better: float = 2 ** ((usual_crf - (usual_crf if crf is None else crf)) / CRF_HALVES)
    # No lossy encoder output is larger than raw video.
    bits = min(CLIP_BITS * better, 8.0)
    return int(frames * width * height * bits / 8 * CONTAINER_SHARE)


def speech_bytes(duration_s: Fraction) -> int:
    """Size of a scene's audio for speech recognition."""
    return int(SPEECH_BYTES_PER_S * duration_s) + 44


def sound_bytes(sounds: Iterable[AudioTrackInfo], duration_s: Fraction) -> int:
    """Size of the tape's audio as it is kept."""
    return int(sound_samples(sounds, duration_s) * KEPT_SAMPLE_BYTES * CONTAINER_SHARE)


def raw_sound_bytes(sounds: Iterable[AudioTrackInfo], duration_s: Fraction) -> int:
    """Size of the tape's temporary raw audio."""
    return int(sound_samples(sounds, duration_s) * RAW_SAMPLE_BYTES)


def sound_samples(sounds: Iterable[AudioTrackInfo], duration_s: Fraction) -> float:
    """Number of samples of all channels of all tracks."""
    return sum(sound.sample_rate_hz * sound.channels for sound in sounds) * float(duration_s)

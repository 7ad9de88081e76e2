"""Resampling of a track to the length of its picture, for captures whose sampling clock was off."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction

from tapemill.core.timing import round_half_up
from tapemill.media.capture_info import MAX_STRETCH, AudioTrackInfo

from .timeline import TimelineTrack

LOG = logging.getLogger("tapemill.audio")

# Resamplers take whole rates. Their ratio is that of the lengths to a sample in an hour.
MAX_RATE_HZ = 500_000
# Longer than the usual filter of 32 samples, and more phases: errors stay below those of 16 bits.
RESAMPLER = "filter_size=64:phase_shift=12"


@dataclass(frozen=True)
class Stretch:
    """Change of a track's length."""

    samples: int
    """Length before."""
    wanted: int
    """Length after."""

    def filters(self, sample_rate_hz: int) -> list[str]:
        """Return ffmpeg's filters for a track that is read with `rates(sample_rate_hz)[0]`, exact to the sample."""
        return [
            "aformat=sample_fmts=dblp",
            f"aresample={self.rates(sample_rate_hz)[1]}:{RESAMPLER}",
            f"asetrate={sample_rate_hz}",
            f"apad=whole_len={self.wanted}",
            f"atrim=end_sample={self.wanted}",
        ]

    def rates(self, sample_rate_hz: int) -> tuple[int, int]:
        """Return two rates with the ratio of the lengths, in Hz, about as high as the track's own or higher."""
        ratio = Fraction(self.samples, self.wanted).limit_denominator(MAX_RATE_HZ)
        times = -(-sample_rate_hz // ratio.denominator)
        return ratio.numerator * times, ratio.denominator * times


def plan_stretch(track: TimelineTrack, sound: AudioTrackInfo, picture_s: Fraction | None) -> Stretch | None:
    """Return the change of a track to the length of its picture; None if it stays as it is, or `picture_s` is None."""
    if picture_s is None:
        return None
    share = sound.per_picture_second(picture_s)
    if share is None or sound.end_s is None:
        reason = (
            "capture.json of an older version does not have its length"
            if sound.end_s is None
            else f"its length differs from that of the picture by more than {100 * MAX_STRETCH} %"
        )
        LOG.warning("stream %d is not stretched to the picture: %s", sound.stream_index, reason)
        return None
    rate_hz = track.format.sample_rate_hz
    stretch = Stretch(round_half_up(sound.end_s * rate_hz), round_half_up(picture_s * rate_hz))
    return stretch if stretch.samples != stretch.wanted else None

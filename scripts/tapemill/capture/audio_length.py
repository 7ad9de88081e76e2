"""Audio tracks of a capture, and remarks on tracks that are longer or shorter than its picture."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction

from tapemill.media.capture_info import AudioTrackInfo, SourceFileInfo

from .validation import ValidatedFile

LOG = logging.getLogger("tapemill.capture")

# Captures seldom end with picture and audio at once, and codecs pad their last packet, which hides the clock in short
# ones. A sampling clock that is off differs by a share: one frame in 40 s.
ENDS_APART_S = Fraction(1, 2)
PADDING_S, CLOCK_SHARE, SHORT_S = Fraction(1, 20), Fraction(1, 1000), 10


def describe_audio(validated: Sequence[ValidatedFile], takes: Sequence[SourceFileInfo]) -> tuple[AudioTrackInfo, ...]:
    """Return the audio tracks. Those of a folder of scenes are cut to its frames, so that their ends do not count."""
    first = validated[0]
    ends_s = {index: takes[0].tape_s(end_s) for index, end_s in first.ends_s.items()} if len(takes) == 1 else {}
    return tuple(
        AudioTrackInfo(
            s.stream_index, s.codec, s.sample_rate_hz, s.channels, s.language, s.title, ends_s.get(s.stream_index)
        )
        for s in first.media.sounds
    )


def length_remarks(sounds: Sequence[AudioTrackInfo], picture_s: Fraction) -> Iterator[str]:
    """Yield a remark for each track that ends well before or after the picture, and log it."""
    for number, sound in enumerate(sounds, 1):
        if sound.end_s is None:
            continue
        late_s = sound.end_s - picture_s
        share = abs(late_s) / picture_s
        is_clock = picture_s >= SHORT_S and abs(late_s) > PADDING_S and share >= CLOCK_SHARE
        if abs(late_s) <= ENDS_APART_S and not is_clock:
            continue
        remark = (
            f"audio track {number} ends {abs(float(late_s)):.2f} s {'after' if late_s > 0 else 'before'} the picture,"
            f" which is {float(picture_s):.2f} s long ({100 * float(share):.2f} %)"
        )
        if sound.per_picture_second(picture_s) is not None:
            remark += "; if its clock was off, audio: stretch_to_picture brings it to the length of the picture"
        LOG.warning("%s", remark)
        yield remark

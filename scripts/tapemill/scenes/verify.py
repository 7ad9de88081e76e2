"""Verification of a cut scene: complete, decodable, and not black or silent where the capture is not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av.error
import numpy as np
from av import VideoFrame
from av.container import InputContainer

from tapemill.core.errors import GateError, InputError
from tapemill.core.timing import FrameRange
from tapemill.media.capture_info import SourceFileInfo
from tapemill.media.output_checks import REMEDY, check_loudness, is_blank, open_output, peak_amplitude
from tapemill.media.probe import open_media, read_packets

# Frames of the capture that are decoded at most from a key frame on to find one of the scene.
MAX_DECODED = 300


@dataclass(frozen=True)
class AudioStats:
    """Expected audio of the cut."""

    samples: int
    peak: float
    """Full scale 1."""


def check_cut(
    partial: Path, *, target: Path, span: FrameRange, sound: AudioStats | None, source: Path, take: SourceFileInfo
) -> None:
    """Raise GateError, naming `target`, if the file in `partial` is not the scene `span` of the capture `source`.

    The first, the middle and the last frame are decoded, all of them being key frames, and all of the audio.
    """
    with open_output(partial, target=target) as container:
        samples = _decode_frames(container, span.frames, target)
    if sound is not None:
        with open_output(partial, target=target) as container:
            _check_audio(container, sound, target)
    if all(is_blank(frame) for frame in samples) and _has_content(source, take, span):
        raise GateError("the cut is black or of one colour, and the capture is not there", file=target, remedy=REMEDY)


def count_frames(partial: Path) -> int:
    """Count the video packets of a cut, without decoding them. Raises GateError if it cannot be read."""
    with open_output(partial, target=partial) as container:
        return sum(packet.size > 0 for stream in container.streams.video[:1] for packet in container.demux(stream))


def _decode_frames(container: InputContainer, frames: int, target: Path) -> list[VideoFrame]:
    """Decode sample frames; raise GateError unless the file has all frames."""
    wanted = {0, frames // 2, frames - 1}
    count, samples = 0, []
    for stream in container.streams.video[:1]:
        for packet in read_packets(container, [stream]):
            if packet.size == 0:
                continue
            if count in wanted:
                samples += packet.decode()
            count += 1
    if count != frames or len(samples) != len(wanted):
        raise GateError(
            f"the cut has {count} frames, not {frames}, and {len(samples)} of {len(wanted)} sampled can be decoded",
            file=target,
            remedy=REMEDY,
        )
    return samples


def _check_audio(container: InputContainer, sound: AudioStats, target: Path) -> None:
    found, peak = 0, 0.0
    for stream in container.streams.audio[:1]:
        for frame in container.decode(stream):
            found += frame.samples
            peak = peak or peak_amplitude(frame)
    if found != sound.samples:
        raise GateError(f"the cut has {found} samples of audio, not {sound.samples}", file=target, remedy=REMEDY)
    check_loudness(written=peak, was=sound.peak, target=target)


def _has_content(source: Path, take: SourceFileInfo, span: FrameRange) -> bool:
    """Whether some frame of the capture in this span is not blank; false where none can be decoded."""
    middle = (span.start_frame + span.stop_frame) // 2
    with suppress(InputError, av.error.FFmpegError), open_media(source) as container:
        stream = container.streams[take.stream_index]
        container.seek(take.pts_of(middle), stream=stream, backward=True)
        for number, frame in enumerate(container.decode(stream)):
            if number == MAX_DECODED:
                break
            if not isinstance(frame, VideoFrame) or frame.pts is None or frame.is_corrupt:
                continue
            tick = int(take.indices(np.array([frame.pts]))[0])
            if tick >= span.stop_frame:
                break
            if tick >= span.start_frame and not is_blank(frame):
                return True
    return False

"""Writing a cut scene: FFV1 and FLAC in Matroska, whatever the pictures come from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tapemill.core.job_warnings import CUT_WITH_TAG, STANDS_IN_TAG
from tapemill.core.progress import Progress
from tapemill.core.timing import FrameRange, round_half_up
from tapemill.media import audio_samples, ffmpeg
from tapemill.media.capture_info import SourceFileInfo, VideoInfo
from tapemill.media.ffmpeg import version
from tapemill.media.ffmpeg.command import redact_paths
from tapemill.media.ffmpeg.limits import max_output_bytes, timeout_s
from tapemill.media.output_checks import check_exists
from tapemill.media.probe import open_media

from .verify import AudioStats

# FFV1 cuts a picture into slices, which threads share: fixed, so that the file is the same on any number of cores.
SLICES = 4
SMALLEST_SLICED_PX = 64
COPIED_BYTES_PER_S = 1_000_000  # of a slow disk, and read and written at the same time


@dataclass(frozen=True)
class CutSpec:
    """What is to be cut."""

    source: Path
    take: SourceFileInfo
    span: FrameRange
    picture: VideoInfo
    threads: int


@dataclass(frozen=True)
class RawAudio:
    """The scene's sound, written as raw samples."""

    arguments: Sequence[str]
    """Those that open it and set the depth of the FLAC."""
    size_bytes: int
    heard: AudioStats


def write_video(job: CutSpec, arguments: Sequence[str], audio: RawAudio | None, partial: Path, *, decoded: int) -> None:
    """Run ffmpeg with `arguments` that open and filter, and encode what comes out. `decoded` counts pictures."""
    samples, frames = job.picture.width * job.picture.height, job.span.frames
    encoding = [*ffmpeg.BITEXACT_SCALING, *_encoding(job.picture), "-threads:v", str(job.threads), "-c:a", "flac"]
    arguments, ending = [*arguments, *encoding, *ffmpeg.BITEXACT], ffmpeg.output_args(partial, "matroska")
    ffmpeg.run(
        [*arguments, "-metadata", f"{CUT_WITH_TAG}={_cut_with(job, [*arguments, *ending], partial)}", *ending],
        concerns=job.source,
        timeout_s=timeout_s(reads=[job.source], samples=samples, decoded=decoded, encoded=frames),
        max_output_bytes=max_output_bytes(
            pictures=frames, samples=samples, sound_bytes=audio.size_bytes if audio else 0
        ),
        reached=Progress(frames).reach,
    )
    check_exists(partial, target=job.source)


def _cut_with(job: CutSpec, arguments: Sequence[str], partial: Path) -> str:
    """What the cut says of how it was made: nothing that depends on places or on the number of cores."""
    place = arguments.index("-threads:v") + 1
    lasting = [*arguments[:place], "1", *arguments[place + 1 :]]
    command = redact_paths(lasting, {job.source: "capture", partial: "cut"})
    return json.dumps({**version.tool_versions(with_ffmpeg=True), "command": command})


def field_mode(picture: VideoInfo) -> str:
    """The filter that marks the field order."""
    return "setfield=mode=" + ("prog" if picture.field_order == "progressive" else picture.field_order)


def write_black(job: CutSpec, audio: RawAudio | None, partial: Path) -> None:
    """A scene without any picture of its own."""
    picture, span = job.picture, job.span
    black = f"color=black:size={picture.width}x{picture.height}:rate={job.take.rate}"
    chain = [f"format={picture.pixel_format}", field_mode(picture)]
    arguments = ["-f", "lavfi", "-i", black, *(audio.arguments if audio else []), "-map", "0:v"]
    arguments += [*(["-map", "1:0"] if audio else []), "-frames:v", str(span.frames), "-filter:v", ",".join(chain)]
    write_video(job, arguments, audio, partial, decoded=0)


def _encoding(picture: VideoInfo) -> list[str]:
    options = ["-c:v", "ffv1", "-level", "3", "-g", "1", "-slicecrc", "1"]
    if min(picture.width, picture.height) >= SMALLEST_SLICED_PX:
        options += ["-slices", str(SLICES)]
    # Unless told, ffmpeg takes this encoder for one of limited range and converts full range to it, with losses.
    return [*options, "-color_range:v", "pc"] if picture.colour.range == "pc" else options


def tag(partial: Path, tagged: Path, damage: str) -> None:
    """Say in the file what is damaged. Its streams are copied, since it is known only when they are written."""
    with open_media(partial) as container:
        cut_with = container.metadata.get(CUT_WITH_TAG, "")
    arguments = [*ffmpeg.input_args(partial), "-map", "0", "-c", "copy", *ffmpeg.BITEXACT]
    arguments += ["-metadata", f"{CUT_WITH_TAG}={cut_with}"]
    arguments += ["-metadata", f"{STANDS_IN_TAG}={damage}", *ffmpeg.output_args(tagged, "matroska")]
    ffmpeg.run(arguments, concerns=partial, timeout_s=60 + partial.stat().st_size / COPIED_BYTES_PER_S)
    shutil.move(tagged, partial)


def write_audio(job: CutSpec, stream_index: int, path: Path) -> RawAudio:
    """Write the span's samples as raw floats."""
    track = audio_samples.probe_format(job.source, stream_index)
    first, stop = (
        round_half_up(edge / job.take.rate * track.rate_hz) for edge in (job.span.start_frame, job.span.stop_frame)
    )
    samples = audio_samples.read_samples(
        job.source, stream_index, origin_s=job.take.start_s, first=first, count=stop - first
    )
    path.write_bytes(np.ascontiguousarray(samples.T).astype("<f4").tobytes())
    form = ["-f", "f32le", "-ar", str(track.rate_hz), "-ac", str(track.channels)]
    depth = "s16" if track.sixteen_bit else "s32"
    return RawAudio(
        arguments=[*ffmpeg.input_args(path, options=form), "-sample_fmt", depth],
        size_bytes=path.stat().st_size,
        heard=AudioStats(samples=stop - first, peak=float(np.abs(samples).max(initial=0.0))),
    )

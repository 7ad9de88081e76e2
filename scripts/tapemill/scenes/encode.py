"""Encoding of a cut scene: FFV1 and FLAC in Matroska."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tapemill.core.job_warnings import CUT_WITH_TAG
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

# FFV1 slices a frame for threads: a fixed number, so that the file is the same on any number of cores.
SLICES = 4
MIN_SLICED_PX = 64
COPIED_BYTES_PER_S = 1_000_000  # a slow disk, reading and writing at the same time


@dataclass(frozen=True)
class CutSpec:
    """Specification of one cut."""

    source: Path
    take: SourceFileInfo
    span: FrameRange
    picture: VideoInfo
    threads: int


@dataclass(frozen=True)
class RawAudio:
    """The scene's audio, written as raw samples."""

    arguments: Sequence[str]
    """ffmpeg arguments that open it and set the depth of the FLAC."""
    size_bytes: int
    heard: AudioStats


def write_video(
    spec: CutSpec, arguments: Sequence[str], audio: RawAudio | None, partial: Path, *, decoded: int
) -> None:
    """Run ffmpeg with input and filter `arguments`, and encode the result. `decoded` counts the frames to decode."""
    samples, frames = spec.picture.width * spec.picture.height, spec.span.frames
    encoding = [*ffmpeg.BITEXACT_SCALING, *_encoding(spec.picture), "-threads:v", str(spec.threads), "-c:a", "flac"]
    arguments, output = [*arguments, *encoding, *ffmpeg.BITEXACT], ffmpeg.output_args(partial, "matroska")
    ffmpeg.run(
        [*arguments, "-metadata", f"{CUT_WITH_TAG}={_cut_with(spec, [*arguments, *output], partial)}", *output],
        concerns=spec.source,
        timeout_s=timeout_s(reads=[spec.source], samples=samples, decoded=decoded, encoded=frames),
        max_output_bytes=max_output_bytes(
            pictures=frames, samples=samples, sound_bytes=audio.size_bytes if audio else 0
        ),
        reached=Progress(frames).reach,
    )
    check_exists(partial, target=spec.source)


def _cut_with(spec: CutSpec, arguments: Sequence[str], partial: Path) -> str:
    """Return the tag of the cut: ffmpeg and command, without paths and the number of cores."""
    index = arguments.index("-threads:v") + 1
    portable = [*arguments[:index], "1", *arguments[index + 1 :]]
    command = redact_paths(portable, {spec.source: "capture", partial: "cut"})
    return json.dumps({**version.tool_versions(with_ffmpeg=True), "command": command})


def cut_out_filter(picture: VideoInfo) -> list[str]:
    """Return the filter that crops an upright frame of the capture to what a cut has; none for the whole frame."""
    crop = picture.cut_out
    return [f"crop=w={crop.width}:h={crop.height}:x={crop.left}:y={crop.top}:exact=1"] if crop else []


def field_mode(picture: VideoInfo) -> str:
    """Return the filter that sets the field order."""
    return "setfield=mode=" + ("prog" if picture.field_order == "progressive" else picture.field_order)


def write_black(spec: CutSpec, audio: RawAudio | None, partial: Path) -> None:
    """Write a black scene."""
    picture, span = spec.picture, spec.span
    black = f"color=black:size={picture.width}x{picture.height}:rate={spec.take.rate}"
    chain = [f"format={picture.pixel_format}", field_mode(picture)]
    arguments = ["-f", "lavfi", "-i", black, *(audio.arguments if audio else []), "-map", "0:v"]
    arguments += [*(["-map", "1:0"] if audio else []), "-frames:v", str(span.frames), "-filter:v", ",".join(chain)]
    write_video(spec, arguments, audio, partial, decoded=0)


def _encoding(picture: VideoInfo) -> list[str]:
    options = ["-c:v", "ffv1", "-level", "3", "-g", "1", "-slicecrc", "1"]
    if min(picture.width, picture.height) >= MIN_SLICED_PX:
        options += ["-slices", str(SLICES)]
    # By default ffmpeg assumes limited range for this encoder and converts full range to it, with losses.
    return [*options, "-color_range:v", "pc"] if picture.colour.range == "pc" else options


def tag(partial: Path, tagged: Path, tags: Mapping[str, str]) -> None:
    """Add tags for what is known only when the streams are written, which are copied."""
    with open_media(partial) as container:
        cut_with = container.metadata.get(CUT_WITH_TAG, "")
    arguments = [*ffmpeg.input_args(partial), "-map", "0", "-c", "copy", *ffmpeg.BITEXACT]
    for name, text in {CUT_WITH_TAG: cut_with, **tags}.items():
        arguments += ["-metadata", f"{name}={text}"]
    arguments += ffmpeg.output_args(tagged, "matroska")
    ffmpeg.run(arguments, concerns=partial, timeout_s=60 + partial.stat().st_size / COPIED_BYTES_PER_S)
    shutil.move(tagged, partial)


def write_audio(spec: CutSpec, stream_index: int, path: Path) -> RawAudio:
    """Write the audio samples of the span as raw floats."""
    track = audio_samples.probe_format(spec.source, stream_index)
    first, stop = (
        round_half_up(edge / spec.take.rate * track.rate_hz) for edge in (spec.span.start_frame, spec.span.stop_frame)
    )
    samples = audio_samples.read_samples(spec.source, stream_index, clock=spec.take, first=first, count=stop - first)
    path.write_bytes(np.ascontiguousarray(samples.T).astype("<f4").tobytes())
    options = ["-f", "f32le", "-ar", str(track.rate_hz), "-ac", str(track.channels)]
    depth = "s16" if track.sixteen_bit else "s32"
    return RawAudio(
        arguments=[*ffmpeg.input_args(path, options=options), "-sample_fmt", depth],
        size_bytes=path.stat().st_size,
        heard=AudioStats(samples=stop - first, peak=float(np.abs(samples).max(initial=0.0))),
    )

"""Audio and subtitle streams in a form that can be copied into the tape's container."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tapemill.core.errors import GateError
from tapemill.media import ffmpeg
from tapemill.media.ffmpeg.limits import max_output_bytes, timeout_s
from tapemill.media.output_checks import REMEDY, open_output
from tapemill.media.probe import open_media
from tapemill.storage.atomic import scratch_dir

# Subtitles are small; the limit allows for a busy machine.
SECONDS_PER_MEGABYTE = 60
# In MP4 a cue of one letter takes about a hundred bytes of index.
BYTES_PER_BYTE = 10


@dataclass(frozen=True)
class SubtitleTrack:
    """One SRT file."""

    path: Path
    language: str
    """ISO 639 of any kind, "" for unknown."""
    title: str


@dataclass(frozen=True)
class MuxStream:
    """One stream to copy."""

    path: Path
    stream_index: int
    kind: Literal["audio", "subtitle"]
    language: str
    title: str
    demuxer: str | None = None
    """Demuxer to open the file with; None: detected."""


def non_empty(tracks: Sequence[SubtitleTrack]) -> list[SubtitleTrack]:
    """The subtitle tracks with text: an empty file makes no track."""
    return [track for track in tracks if track.path.read_text(encoding="utf-8-sig", errors="replace").strip()]


@contextmanager
def prepare_streams(
    *, audio: Path | None, subtitles: Sequence[SubtitleTrack], container: str, target: Path
) -> Iterator[list[MuxStream]]:
    """Yield the streams to copy, audio first; files written for them are removed afterwards.

    Matroska stores SRT as it is; MP4 has a subtitle format of its own, to which ffmpeg converts. Raises ToolFailed if
    that fails, InputError for a file that is not media.
    """
    audio_streams = _audio_streams(audio) if audio else []
    subtitle_streams = [MuxStream(track.path, 0, "subtitle", track.language, track.title, "srt") for track in subtitles]
    if container == "mkv" or not subtitle_streams:
        yield [*audio_streams, *subtitle_streams]
        return
    with scratch_dir(target) as folder:
        converted = folder / "subtitles.mp4"
        _convert(subtitles, converted, target)
        yield [
            *audio_streams,
            *(replace(s, path=converted, stream_index=i, demuxer=None) for i, s in enumerate(subtitle_streams)),
        ]


def _audio_streams(audio: Path) -> list[MuxStream]:
    with open_media(audio) as container:
        return [
            MuxStream(audio, stream.index, "audio", stream.language or "", str(stream.metadata.get("title", "")))
            for stream in container.streams.audio
        ]


def _convert(subtitles: Sequence[SubtitleTrack], converted: Path, target: Path) -> None:
    # Time stamps as they are: ffmpeg would otherwise shift each input to begin at zero.
    arguments = ["-copyts"]
    for track in subtitles:
        arguments += ffmpeg.input_args(track.path, options=("-f", "srt"))
    for index in range(len(subtitles)):
        arguments += ["-map", str(index)]
    size = sum(track.path.stat().st_size for track in subtitles)
    ffmpeg.run(
        [*arguments, "-c:s", "mov_text", *ffmpeg.BITEXACT, *ffmpeg.output_args(converted, "mp4")],
        concerns=subtitles[0].path,
        timeout_s=timeout_s(seconds=SECONDS_PER_MEGABYTE * size / 1e6),
        max_output_bytes=max_output_bytes(sound_bytes=BYTES_PER_BYTE * size),
    )
    with open_output(converted, target=target) as container:
        if len(container.streams.subtitles) != len(subtitles):
            raise GateError(
                f"{len(container.streams.subtitles)} subtitle tracks were written, not {len(subtitles)}",
                file=target,
                remedy=REMEDY,
            )

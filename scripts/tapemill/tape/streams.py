"""Sound and subtitles as streams that can be copied into the tape's container as they are."""

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

# Subtitles are small; this is for a busy machine.
SECONDS_PER_MEGABYTE = 60
# A cue of one letter takes some hundred bytes of index in MP4.
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
    """What the file is to be opened as, if not as what it looks like."""


def non_empty(tracks: Sequence[SubtitleTrack]) -> list[SubtitleTrack]:
    """The subtitle tracks that say anything: an empty file makes no track."""
    return [track for track in tracks if track.path.read_text(encoding="utf-8-sig", errors="replace").strip()]


@contextmanager
def prepare_streams(
    *, sound: Path | None, subtitles: Sequence[SubtitleTrack], container: str, target: Path
) -> Iterator[list[MuxStream]]:
    """Yield the streams to copy, sound first; what had to be written for it is removed afterwards.

    Matroska takes SRT as it is, MP4 has subtitles of its own kind, which ffmpeg makes of it. Raises ToolFailed if it
    cannot, InputError for a file that is no media.
    """
    sounds = _sound_parts(sound) if sound else []
    texts = [MuxStream(track.path, 0, "subtitle", track.language, track.title, "srt") for track in subtitles]
    if container == "mkv" or not texts:
        yield [*sounds, *texts]
        return
    with scratch_dir(target) as folder:
        converted = folder / "subtitles.mp4"
        _convert(subtitles, converted, target)
        yield [*sounds, *(_within(text, converted, place) for place, text in enumerate(texts))]


def _within(text: MuxStream, converted: Path, place: int) -> MuxStream:
    return replace(text, path=converted, stream_index=place, demuxer=None)


def _sound_parts(sound: Path) -> list[MuxStream]:
    with open_media(sound) as container:
        return [
            MuxStream(sound, stream.index, "audio", stream.language or "", str(stream.metadata.get("title", "")))
            for stream in container.streams.audio
        ]


def _convert(subtitles: Sequence[SubtitleTrack], converted: Path, target: Path) -> None:
    # Time stamps as they are: ffmpeg would otherwise shift each input to begin at zero.
    arguments = ["-copyts"]
    for track in subtitles:
        arguments += ffmpeg.input_args(track.path, options=("-f", "srt"))
    for place in range(len(subtitles)):
        arguments += ["-map", str(place)]
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

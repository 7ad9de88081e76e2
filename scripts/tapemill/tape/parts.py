"""Sound and subtitles as streams that can be copied into the tape's container as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import ffmpeg
from ..media import opened

# Bringing sound and subtitles into MP4 copies them; this is for a slow disk on a busy machine.
START_UP_S = 60
SECONDS_PER_MEGABYTE = 0.5


@dataclass(frozen=True)
class SubtitleTrack:
    """One SRT file."""

    path: Path
    language: str
    """ISO 639 of any kind, "" for unknown."""
    title: str


@dataclass(frozen=True)
class Part:
    """One stream to copy."""

    path: Path
    stream_index: int
    subtitle: SubtitleTrack | None
    """None for a sound track."""


def spoken(tracks: Sequence[SubtitleTrack]) -> list[SubtitleTrack]:
    """The subtitle tracks that say anything: an empty file makes no track."""
    return [track for track in tracks if track.path.read_text(encoding="utf-8-sig", errors="replace").strip()]


@contextmanager
def gathered(
    *, sound: Path | None, subtitles: Sequence[SubtitleTrack], container: str, target: Path
) -> Iterator[list[Part]]:
    """Yield the streams to copy, sound first; what had to be written for it is removed afterwards.

    Matroska takes what there is. MP4 has subtitles of its own kind and counts sound in samples, not milliseconds, so
    there ffmpeg brings both into MP4 first. Raises ToolFailed if it cannot, InputError for a file that is no media.
    """
    if container == "mkv":
        tracks = [Part(track.path, 0, track) for track in subtitles]
        yield [*(Part(sound, index, None) for index in _sound_streams(sound) if sound), *tracks]
        return
    if sound is None and not subtitles:
        yield []
        return
    converted = target.with_name(f".{target.stem}.parts.mp4")
    try:
        _convert(sound, subtitles, converted)
        count = len(_sound_streams(sound))
        tracks = [Part(converted, count + place, track) for place, track in enumerate(subtitles)]
        yield [*(Part(converted, index, None) for index in range(count)), *tracks]
    finally:
        converted.unlink(missing_ok=True)


def _sound_streams(sound: Path | None) -> list[int]:
    if sound is None:
        return []
    with opened(sound) as container:
        return [stream.index for stream in container.streams.audio]


def _convert(sound: Path | None, subtitles: Sequence[SubtitleTrack], converted: Path) -> None:
    inputs = [path for path in (sound, *(track.path for track in subtitles)) if path is not None]
    arguments: list[str] = []
    for place, path in enumerate(inputs):
        arguments += ffmpeg.source(path, options=("-f", "matroska" if path == sound else "srt"))
    for place in range(len(inputs)):
        arguments += ["-map", str(place)]
    ffmpeg.run(
        # Time stamps as they are: ffmpeg would otherwise shift each input to begin at zero.
        ["-copyts", *arguments, *("-c:a", "copy", "-c:s", "mov_text"), *ffmpeg.BITEXACT]
        + ffmpeg.target(converted, "mp4"),
        concerns=inputs[0],
        timeout_s=START_UP_S + SECONDS_PER_MEGABYTE * sum(path.stat().st_size for path in inputs) / 1e6,
    )

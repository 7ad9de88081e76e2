"""Verification of a finished tape before it gets its name: time of every frame, complete audio and subtitles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from tapemill.core.errors import GateError
from tapemill.core.progress import Progress
from tapemill.media.clock.cfr import frame_indices
from tapemill.media.output_checks import REMEDY, open_output

from .chapters import Chapter
from .concat import ConcatPlan
from .streams import SubtitleTrack

# An MP4 subtitle sample of this size is a pause: its text is empty.
PAUSE_BYTES = 2


@dataclass
class StreamContent:
    """Packets of one stream."""

    kind: str
    time_base: Fraction
    times: list[int] = field(default_factory=list)
    """Time stamps of all packets, in units of `time_base`."""
    end: int = 0
    longest: int = 0
    """Duration of the longest packet."""
    payload_bytes: int = 0

    @property
    def start_s(self) -> Fraction:
        """Start of the first packet."""
        return min(self.times, default=0) * self.time_base

    @property
    def end_s(self) -> Fraction:
        """End of the last packet."""
        return self.end * self.time_base


def verify_tape(
    path: Path, *, plan: ConcatPlan, audio: Path | None, subtitles: Sequence[SubtitleTrack], chapters: Sequence[Chapter]
) -> None:
    """Read a finished tape from end to end and compare it with its sources. Raises GateError with both values."""
    tracks, chapter_count = _read(path, progress=Progress(plan.total_frames, "verifying the tape"))
    video = [track for track in tracks if track.kind == "video"]
    _expect(path, "video streams", len(video), 1)
    _check_video(path, video[0], plan)
    copies = [track for track in tracks if track.kind == "audio"]
    originals = [track for track in _read(audio)[0] if track.kind == "audio"] if audio else []
    _expect(path, "audio tracks", len(copies), len(originals))
    for found, wanted in zip(copies, originals, strict=True):
        _check_audio(path, found, wanted, 1 / plan.rate)
    cue_counts = [len(track.times) for track in tracks if track.kind == "subtitle"]
    _expect(path, "cues of each subtitle track", cue_counts, [_cues(track.path) for track in subtitles])
    _expect(path, "chapters", chapter_count, len(chapters))


def _check_video(path: Path, found: StreamContent, plan: ConcatPlan) -> None:
    _expect(path, "frames", len(found.times), plan.total_frames)
    expected = frame_indices(np.arange(plan.total_frames), 0, 1 / plan.rate, 1 / found.time_base)
    times = np.sort(np.array(found.times, dtype=np.int64))
    wrong = np.flatnonzero(times != expected)
    if len(wrong):
        frame = int(wrong[0])
        _expect(path, f"time of frame {frame} in units of {found.time_base} s", int(times[frame]), int(expected[frame]))


def _check_audio(path: Path, found: StreamContent, wanted: StreamContent, frame_s: Fraction) -> None:
    # Not packets: demuxers cut uncompressed audio differently.
    _expect(path, "bytes of audio", found.payload_bytes, wanted.payload_bytes)
    # The two files may round to different units.
    if abs(found.start_s - wanted.start_s) > max(found.time_base, wanted.time_base):
        _expect(path, "start of the audio in s", float(found.start_s), float(wanted.start_s))
    # In some containers a last packet that is not full has the duration of a full one.
    if abs(found.end_s - wanted.end_s) >= frame_s + wanted.longest * wanted.time_base:
        _expect(path, "end of the audio in s", float(found.end_s), float(wanted.end_s))


def _cues(path: Path) -> int:
    """Number of cues of an SRT file."""
    return len(_read(path, demuxer="srt")[0][0].times)


def _read(
    path: Path, *, demuxer: str | None = None, progress: Progress | None = None
) -> tuple[list[StreamContent], int]:
    with open_output(path, target=path, demuxer=demuxer) as container:
        tracks = {
            stream.index: StreamContent(stream.type, Fraction(stream.time_base or 1))
            for stream in container.streams
            if stream.type in ("video", "audio", "subtitle")
        }
        for packet in container.demux():
            track = tracks.get(packet.stream.index)
            if track is None or packet.size == 0 or packet.pts is None:
                continue
            if track.kind == "subtitle" and packet.size == PAUSE_BYTES and container.format.name.startswith("mov"):
                continue
            if progress is not None and track.kind == "video":
                progress.advance()
            track.payload_bytes += packet.size
            track.times.append(packet.pts)
            duration = packet.duration or 0
            track.end = max(track.end, packet.pts + duration)
            track.longest = max(track.longest, duration)
        return list(tracks.values()), len(container.chapters())


def _expect(path: Path, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise GateError(f"{what}: {found}, expected {expected}", file=path, remedy=REMEDY)

"""Muxer of the tape: joined clips, the continuous audio, subtitles, chapters and tags, then verified.

One thread of this process muxes packets in the order of their time, so the bytes depend on nothing but the input.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
from av import AudioStream, Packet, VideoStream
from av.container import OutputContainer
from av.stream import Disposition, Stream

from tapemill.core.errors import GateError, ToolFailed, WriteFailed
from tapemill.core.job_warnings import JobWarning
from tapemill.core.progress import Progress, report
from tapemill.core.timing import milliseconds
from tapemill.media.probe import open_media
from tapemill.records.job_records import replaced
from tapemill.storage import disk_space
from tapemill.storage.atomic import staged

from . import verify
from .audio_timestamps import retime_packets
from .chapters import Chapter
from .concat import ConcatPlan, check_compatible, concat_packets
from .content_check import check_content
from .settings import TapeSettings
from .streams import MuxStream, SubtitleTrack, non_empty, prepare_streams
from .tags import TapeDescription, container_tags, language_code

if TYPE_CHECKING:
    from av.container.core import Chapter as MuxerChapter  # known to type checkers only

LOG = logging.getLogger("tapemill.tape")

# Decoding time of a packet in seconds, the index of its stream, the packet. No two are equal in both numbers.
TimedPacket = tuple[float, int, "Packet[Any]"]
MUXERS = {"mkv": "matroska", "mp4": "mp4"}
# Space for the index at the front of a Matroska file, so that players seek without reading its end first.
INDEX_BYTES = 4096
INDEX_BYTES_PER_ENTRY = 40


def mux_tape(
    *,
    clips: Sequence[Path],
    clip_frames: Sequence[int],
    rate: Fraction,
    audio: Path | None,
    subtitles: Sequence[SubtitleTrack],
    chapters: Sequence[Chapter],
    description: TapeDescription,
    target: Path,
    settings: TapeSettings,
) -> list[JobWarning]:
    """Mux the enhanced clips, `clip_frames[i]` frames each at `rate`, with everything else into `target`.

    Frame k of the tape is shown at k / rate, to the nearest unit of the container. `audio` is the file that
    `clean_sound` wrote; it is copied, as are subtitles (MP4: converted to its own kind). An empty audio or subtitle
    file makes no track. Returns a warning for each scene that is not as requested. Raises GateError if clips do not
    fit, if clips or audio are not those that were made, or if the result fails verification; InputError for a file that
    cannot be read, DiskFull, ToolFailed if the file cannot be written for another reason.
    """
    if not clips:
        raise GateError(
            "there are no clips to make a tape of",
            file=target,
            remedy="check the scene table; delete it to have the scenes detected again",
        )
    records = check_content(clips, audio)
    plan = check_compatible(clips=clips, frames=clip_frames, rate=rate)
    audio = audio if audio is not None and audio.stat().st_size else None
    tracks = non_empty(subtitles)
    with staged(target) as partial:
        with (
            prepare_streams(audio=audio, subtitles=tracks, container=settings.container, target=target) as parts,
            ExitStack() as stack,
            _writing(partial, settings, plan) as output,
        ):
            output.metadata.update(container_tags(description, settings.container))
            output.set_chapters(_chapters(chapters, plan))
            video = _add_video(output, plan, settings)
            video_packets = Progress(plan.total_frames, "joining").counting(concat_packets(plan))
            streams = [_timed(video, video_packets, 1 / plan.rate)]
            streams += [_add_track(output, stack, part, description, settings) for part in parts]
            for _, _, packet in heapq.merge(*streams):
                output.mux_one(packet)
        verify.verify_tape(partial, plan=plan, audio=audio, subtitles=tracks, chapters=chapters)
    report(f"{len(clips)} clips, {plan.total_frames} frames at {rate} frames/s: {target}", frames=plan.total_frames)
    notices = list(replaced(records))
    for notice in notices:
        LOG.warning("scene %s is not as requested (%s): %s", notice.scene, notice.kind, notice.reason)
    return notices


@contextmanager
def _writing(partial: Path, settings: TapeSettings, plan: ConcatPlan) -> Iterator[OutputContainer]:
    """Open the output file, and close it also after a failure."""
    options = {"fflags": "+bitexact"}
    if settings.container == "mkv":
        options["reserve_index_space"] = str(INDEX_BYTES + INDEX_BYTES_PER_ENTRY * plan.keyframes)
    else:
        options["movflags"] = "+faststart"
    output = av.open(f"file:{partial}", "w", format=MUXERS[settings.container], options=options)
    try:
        yield output
        output.close()
    except av.error.FFmpegError as error:
        if error.errno in disk_space.FULL:
            raise disk_space.disk_full_error(partial) from error
        if error.errno in disk_space.DENIED:
            raise disk_space.not_writable_error(partial, f"nothing can be written here: {error.strerror}") from error
        kind = WriteFailed if error.errno in disk_space.FAILING else ToolFailed
        raise kind(
            f"the tape could not be written: {error.strerror}",
            file=partial,
            tool="PyAV",
            remedy="check the disk, and run again",
        ) from error
    finally:
        # Closing a file that failed fails again; it is removed anyway.
        with suppress(av.error.FFmpegError):
            output.close()


def _add_video(output: OutputContainer, plan: ConcatPlan, settings: TapeSettings) -> VideoStream:
    """Add the video track."""
    with open_media(plan.clips[0]) as container:
        codec = container.streams.video[0].codec_context.name
        stream = output.add_stream_from_template(container.streams.video[0], opaque=True)
    stream.time_base = 1 / plan.rate
    stream.codec_context.framerate = plan.rate
    stream.disposition = Disposition.default
    if settings.container == "mp4" and codec == "hevc":
        # Apple's players accept HEVC only with this tag.
        stream.codec_context.codec_tag = "hvc1"
    return stream


def _add_track(
    output: OutputContainer, stack: ExitStack, part: MuxStream, description: TapeDescription, settings: TapeSettings
) -> Iterator[TimedPacket]:
    """Add one audio or subtitle track and return its packets. `stack` keeps the file open."""
    container = stack.enter_context(open_media(part.path, demuxer=part.demuxer))
    template = container.streams[part.stream_index]
    stream = output.add_stream_from_template(template, opaque=True)
    language = language_code(part.language, settings.container)
    if language == "und" and part.kind == "audio":
        language = language_code(description.language, settings.container)
    stream.metadata["language"] = language
    if part.title:
        stream.metadata["title"] = part.title
    is_first = [other for other in output.streams if other.type == part.kind] == [stream]
    is_default = is_first and (part.kind == "audio" or settings.subtitles_on)
    stream.disposition = Disposition.default if is_default else Disposition(0)
    if isinstance(template, AudioStream) and settings.container == "mp4":
        stream.time_base = Fraction(1, template.codec_context.sample_rate)
        return _timed(stream, retime_packets(container, template), stream.time_base)
    copied = (packet for packet in container.demux(template) if packet.size)
    return _timed(stream, copied, Fraction(template.time_base or 1))


def _timed(stream: Stream, source: Iterable[Packet[Any]], time_base: Fraction) -> Iterator[TimedPacket]:
    """Assign packets to a stream of the output; yields each with its sort key."""
    unit_s = float(time_base)
    index = stream.index
    for packet in source:
        packet.stream = stream
        yield (packet.dts or 0) * unit_s, index, packet


def _chapters(chapters: Sequence[Chapter], plan: ConcatPlan) -> list[MuxerChapter]:
    """Chapters for the muxer, each until the next one begins."""
    starts = [milliseconds(chapter.start_s) for chapter in chapters]
    stops = [*starts[1:], milliseconds(plan.total_frames / plan.rate)]
    return [
        {
            "id": number,
            "start": start,
            "end": stop,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": chapter.title},
        }
        for number, (chapter, start, stop) in enumerate(zip(chapters, starts, stops[: len(starts)], strict=True), 1)
    ]

"""The tape's file: joined clips, the continuous sound, subtitles, chapters and tags, muxed once and gated.

Muxed in this process, by one thread that takes packets in the order of their time: the bytes depend on nothing else.
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

from tapemill.core.errors import GateError, ToolFailed
from tapemill.core.job_warnings import JobWarning
from tapemill.core.progress import Progress, report
from tapemill.core.timing import milliseconds
from tapemill.media.probe import open_media
from tapemill.storage import disk_space
from tapemill.storage.atomic import staged
from tapemill.storage.job_records import replaced

from . import verify
from .audio_timestamps import retime_packets
from .chapters import Chapter
from .concat import ConcatPlan, check_compatible, concat_packets
from .settings import TapeSettings
from .streams import MuxStream, SubtitleTrack, non_empty, prepare_streams
from .tags import TapeDescription, container_tags, language_code

if TYPE_CHECKING:
    from av.container.core import Chapter as MuxerChapter  # known to type checkers only

LOG = logging.getLogger("tapemill.tape")

# When a packet is due in seconds, the number of its stream, the packet. No two are equal in both numbers.
Timed = tuple[float, int, "Packet[Any]"]
MUXERS = {"mkv": "matroska", "mp4": "mp4"}
# Room for the index at the front of a Matroska file, so that players seek without reading its end first.
INDEX_BYTES = 4096
INDEX_BYTES_PER_ENTRY = 40


def mux_tape(
    *,
    clips: Sequence[Path],
    clip_frames: Sequence[int],
    rate: Fraction,
    sound: Path | None,
    subtitles: Sequence[SubtitleTrack],
    chapters: Sequence[Chapter],
    facts: TapeDescription,
    target: Path,
    settings: TapeSettings,
) -> list[JobWarning]:
    """Join the enhanced clips, `clip_frames[i]` pictures each at `rate`, with everything else into `target`.

    Picture k of the tape is shown at k / rate, to the nearest unit of the container. `sound` is what `clean_sound`
    wrote; it is copied, as are subtitles (MP4: converted to its own kind). An empty sound or subtitle file makes no
    track. Returns which scenes are not what they should be. Raises GateError if clips do not fit or the result is not
    what it has to be, InputError for a file that cannot be read, DiskFull, ToolFailed if the file
    cannot be written otherwise.
    """
    if not clips:
        raise GateError(
            "there are no clips to make a tape of",
            file=target,
            remedy="look into the scene table; delete it to have the scenes detected again",
        )
    join = check_compatible(clips=clips, frames=clip_frames, rate=rate)
    heard = sound if sound is not None and sound.stat().st_size else None
    shown = non_empty(subtitles)
    with staged(target) as partial:
        with (
            prepare_streams(sound=heard, subtitles=shown, container=settings.container, target=target) as parts,
            ExitStack() as stack,
            _writing(partial, settings, join) as output,
        ):
            output.metadata.update(container_tags(facts, settings.container))
            output.set_chapters(_chapters(chapters, join))
            picture = _add_picture(output, join, settings)
            joined = Progress(join.total_frames, "joining").counting(concat_packets(join))
            streams = [_timed(picture, joined, 1 / join.rate)]
            streams += [_add_part(output, stack, part, facts, settings) for part in parts]
            for _, _, packet in heapq.merge(*streams):
                output.mux_one(packet)
        verify.verify_tape(partial, join=join, sound=heard, subtitles=shown, chapters=chapters)
    told = f"{len(clips)} clips, {join.total_frames} frames at {rate} frames/s: {target}"
    report(told, frames=join.total_frames)
    notices = list(replaced(clips))
    for notice in notices:
        LOG.warning("scene %s is not as it should be (%s): %s", notice.scene, notice.kind, notice.reason)
    return notices


@contextmanager
def _writing(partial: Path, settings: TapeSettings, join: ConcatPlan) -> Iterator[OutputContainer]:
    """An open output file, closed whole or, if something fails, closed anyhow."""
    options = {"fflags": "+bitexact"}
    if settings.container == "mkv":
        options["reserve_index_space"] = str(INDEX_BYTES + INDEX_BYTES_PER_ENTRY * join.keyframes)
    else:
        options["movflags"] = "+faststart"
    output = av.open(f"file:{partial}", "w", format=MUXERS[settings.container], options=options)
    try:
        yield output
        output.close()
    except av.error.FFmpegError as error:
        if error.errno in disk_space.FULL:
            raise disk_space.disk_full_error(partial) from error
        raise ToolFailed(
            f"the tape could not be written: {error.strerror}",
            file=partial,
            tool="PyAV",
            remedy="see whether the disk is well, and run again",
        ) from error
    finally:
        # Closing a file that failed fails again; it is removed anyway.
        with suppress(av.error.FFmpegError):
            output.close()


def _add_picture(output: OutputContainer, join: ConcatPlan, settings: TapeSettings) -> VideoStream:
    with open_media(join.clips[0]) as container:
        codec = container.streams.video[0].codec_context.name
        stream = output.add_stream_from_template(container.streams.video[0], opaque=True)
    stream.time_base = 1 / join.rate
    stream.codec_context.framerate = join.rate
    stream.disposition = Disposition.default
    if settings.container == "mp4" and codec == "hevc":
        # Apple's players take HEVC under this tag alone.
        stream.codec_context.codec_tag = "hvc1"
    return stream


def _add_part(
    output: OutputContainer, stack: ExitStack, part: MuxStream, facts: TapeDescription, settings: TapeSettings
) -> Iterator[Timed]:
    """Add one sound or subtitle track and return its packets. `stack` keeps the file open."""
    container = stack.enter_context(open_media(part.path, demuxer=part.demuxer))
    template = container.streams[part.stream_index]
    stream = output.add_stream_from_template(template, opaque=True)
    language = language_code(part.language, settings.container)
    if language == "und" and part.kind == "audio":
        language = language_code(facts.language, settings.container)
    stream.metadata["language"] = language
    if part.title:
        stream.metadata["title"] = part.title
    first = [other for other in output.streams if other.type == part.kind] == [stream]
    shown = first and (part.kind == "audio" or settings.subtitles_on)
    stream.disposition = Disposition.default if shown else Disposition(0)
    if isinstance(template, AudioStream) and settings.container == "mp4":
        stream.time_base = Fraction(1, template.codec_context.sample_rate)
        return _timed(stream, retime_packets(container, template), stream.time_base)
    copied = (packet for packet in container.demux(template) if packet.size)
    return _timed(stream, copied, Fraction(template.time_base or 1))


def _timed(stream: Stream, source: Iterable[Packet[Any]], time_base: Fraction) -> Iterator[Timed]:
    """Address packets to a stream of the output, with what they are sorted by."""
    unit_s = float(time_base)
    index = stream.index
    for packet in source:
        packet.stream = stream
        yield (packet.dts or 0) * unit_s, index, packet


def _chapters(chapters: Sequence[Chapter], join: ConcatPlan) -> list[MuxerChapter]:
    """Chapters as the muxer takes them, each until the next one begins."""
    starts = [milliseconds(chapter.start_s) for chapter in chapters]
    stops = [*starts[1:], milliseconds(join.total_frames / join.rate)]
    return [
        {
            "id": place,
            "start": start,
            "end": stop,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": chapter.title},
        }
        for place, (chapter, start, stop) in enumerate(zip(chapters, starts, stops[: len(starts)], strict=True), 1)
    ]

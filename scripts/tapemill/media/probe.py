"""Probe of a media file: streams, exact rates, time stamps. Read with PyAV; at most one frame is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import av.error
import av.stream
from av import AudioStream, Packet, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Stream

from tapemill.core.errors import InputError
from tapemill.media.ffmpeg.limits import MAX_PIXELS, MAX_SIDE
from tapemill.media.ffmpeg.runner import DEMUXERS, PART_PROTOCOLS, PROTOCOLS

from .capture_info import FieldOrder
from .colour import colour_of
from .container_integrity import has_dv_header, sniff_file_type
from .containers.file_parts import media_url, part_of
from .containers.mp4_boxes import read_edit_lists
from .containers.ts_programs import program_streams
from .empty_ranges import begins_empty
from .stream_info import AudioStreamInfo, MediaInfo, VideoStreamInfo

SomeStream = TypeVar("SomeStream", bound=Stream)
DECODE_OPTIONS = {"max_pixels": str(MAX_PIXELS)}
# A recording may begin in the middle of a GOP; its first key frame comes within this many packets.
FIRST_PACKETS = 1000
# Edits of a recording by hand are a few dozen, and show little twice.
MAX_EDITS = 1000
MAX_REPEATS = 2
SLACK_S = 1
# libavcodec's AVFieldOrder. Of its names (TT, BB, TB, BT) the first letter is the field that encoders mean to be shown
# first.
FIELD_ORDERS: Mapping[int, FieldOrder] = {1: "progressive", 2: "tff", 3: "bff", 4: "tff", 5: "bff"}
# libavformat takes every file of these names for raw DV, and searches it for a frame from end to end.
DV_SUFFIXES = frozenset({".dv", ".dif"})


def probe(path: Path) -> MediaInfo:
    """Describe the streams of a file. Raises InputError if it is missing, not media or has no video."""
    with open_media(path) as container:
        video = video_stream(container, path)
        sounds = [s for s in container.streams.audio if s.codec_context is not None]
        if container.format.name == "mpegts":
            # Other programmes have audio of their own.
            programs = program_streams(path)
            own = next((pids for pids in programs if len(programs) > 1 and video.id in pids), frozenset())
            sounds = [sound for sound in sounds if sound.id in own] or sounds
        return MediaInfo(
            container=container.format.name,
            picture=_video_info(container, video, path),
            sounds=tuple(map(_audio_info, sounds)),
        )


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the capture's video stream. Raises InputError if there is none with a known codec."""
    videos = [s for s in container.streams.video if not _is_cover(s)]
    if not videos:
        covers = " but a cover" if container.streams.video else ""
        raise InputError(
            f"this file has no video{covers}",
            file=path,
            remedy="a tape needs a video stream; check the sheet's source",
        )
    known = [s for s in videos if s.codec_context is not None]
    if not known:
        raise InputError("the video's codec is unknown", file=path, remedy="convert the capture first")
    # Of several video streams the largest is the capture, the others are previews; the first of equal ones.
    # Streams for other bit rates may be empty.
    return max(known, key=lambda s: (s.start_time is not None, s.width * s.height, -s.index))


def open_media(path: Path, *, demuxer: str | None = None) -> InputContainer:
    """Open a file for reading: as `demuxer`, or as one of the formats of captures.

    Raises InputError with the reason if that is not possible.
    """
    if not path.exists():
        raise InputError("this file does not exist", file=path, remedy="check the column `source` of the sheet")
    if not path.is_file():
        # Opening a pipe would wait for ever, reading a device would never end.
        raise InputError("this is no regular file", file=path, remedy="copy the recording into a file")
    # The same whitelists as the ffmpeg runner has: no file may lead to another.
    protocols = PROTOCOLS if part_of(path) is None else PART_PROTOCOLS
    options = {"protocol_whitelist": protocols, "format_whitelist": demuxer or _demuxers(path)}
    try:
        _reject_endless(path)
        # PyAV takes text only; names that are not UTF-8 reach it as surrogates, which it encodes back.
        container = av.open(
            media_url(path), mode="r", format=demuxer, options=options | DECODE_OPTIONS, metadata_errors="replace"
        )
    # libavformat raises this for a format that is not on the whitelist, and for hardly anything else.
    except av.error.ArgumentError as error:
        raise InputError(
            "this file is of no kind that captures come in, or its head is damaged",
            file=path,
            tool="PyAV",
            remedy="a playlist, list or script is not followed: name the recording itself; convert other kinds,"
            " without loss: `ffmpeg -i FILE -map 0:v:0 -map 0:a? -c:v ffv1 -g 1 -c:a flac NEW.mkv`",
        ) from error
    except (av.error.FFmpegError, UnicodeError, OSError) as error:
        file_type = sniff_file_type(path)
        reason = f"it is {file_type}" if file_type else getattr(error, "strerror", None) or error
        raise _unreadable(path, reason) from error
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = DECODE_OPTIONS
    return container


def read_packets(container: InputContainer, streams: Sequence[SomeStream]) -> Iterator[Packet[SomeStream]]:
    """Yield the packets of some streams, with an empty one of each at the end, as `InputContainer.demux` does.

    A stream that begins in the middle of a file, as in FLV, MPEG and damaged files, is passed over.
    """
    # PyAV (18.1) asks for its empty packet at the end, by a number it has no stream for; all others were read before.
    with suppress(IndexError):
        yield from container.demux(streams)  # type: ignore[misc]  # of the streams that it is given


def _demuxers(path: Path) -> str:
    if path.suffix.lower() in DV_SUFFIXES and not has_dv_header(path):
        return ",".join(name for name in DEMUXERS.split(",") if name != "dv")
    return DEMUXERS


def _reject_endless(path: Path) -> None:
    """Raise InputError for files on which libavformat would work for hours before it returns."""
    if begins_empty(path):
        raise _unreadable(path, f"it is {sniff_file_type(path)}")
    for edits in read_edit_lists(path):
        if edits.entries > MAX_EDITS or edits.shown_s > MAX_REPEATS * edits.media_s + SLACK_S:
            raise InputError(
                f"its edit list makes {edits.shown_s:.0f} s in {edits.entries} parts out of {edits.media_s:.0f} s",
                file=path,
                remedy="copy it without the list, so that everything is shown once:"
                " ffmpeg -ignore_editlist 1 -i FILE -map 0 -c copy NEW.mkv",
            )


def _unreadable(path: Path, reason: object) -> InputError:
    return InputError(
        f"this file cannot be read as media: {reason}",
        file=path,
        tool="PyAV",
        remedy="play it in a media player; if that fails too, the file is damaged or not a recording",
    )


def _video_info(container: InputContainer, stream: VideoStream, path: Path) -> VideoStreamInfo:
    context = stream.codec_context
    frame = _first_frame(container, stream, path)
    ratio = frame.sample_aspect_ratio if hasattr(frame, "sample_aspect_ratio") else stream.sample_aspect_ratio
    rates = [Fraction(rate) for rate in (stream.base_rate, stream.guessed_rate, stream.average_rate) if rate]
    return VideoStreamInfo(
        stream_index=stream.index,
        codec=context.name,
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        bit_depth=frame.format.components[0].bits,
        sample_aspect_ratio=Fraction(ratio) if ratio else None,
        # A display matrix turns counter-clockwise, and the frame gives it as -180..180.
        rotation_deg=-frame.rotation % 360,
        stated_rates=tuple(dict.fromkeys(rates)) or (Fraction(25),),
        time_base=Fraction(stream.time_base or Fraction(1, 1000)),
        colour=colour_of(context),
        stated_field_order=FIELD_ORDERS.get(context.field_order) or _order_of_frame(frame, context.name),
    )


def _order_of_frame(frame: VideoFrame, codec: str) -> FieldOrder | None:
    """Field order of a stream that is marked in its frames only: whether they are interlaced, not in which order."""
    if not frame.interlaced_frame:
        return None
    return "bff" if codec == "dvvideo" else "tff"


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    """Return the first frame that can be decoded, skipping those before it."""
    number, failure = 0, None
    try:
        for number, packet in enumerate(read_packets(container, [stream])):
            if number == FIRST_PACKETS:
                break
            try:
                for frame in packet.decode():
                    return frame
            except av.error.FFmpegError as error:
                failure = failure or error
    # The container itself is damaged.
    except av.error.FFmpegError as error:
        failure = failure or error
    if number == 0 and failure is None:
        raise InputError("this file has no frames", file=path, remedy="the recording is empty; capture it again")
    raise InputError(
        f"no frame could be decoded{f': {failure.strerror}' if failure else ''}",
        file=path,
        tool="PyAV",
        remedy=f"the file is damaged, or its frames are larger than {MAX_SIDE} × {MAX_SIDE}",
    ) from failure


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _audio_info(stream: AudioStream) -> AudioStreamInfo:
    return AudioStreamInfo(
        stream_index=stream.index,
        codec=stream.codec_context.name,
        sample_rate_hz=stream.codec_context.sample_rate,
        channels=stream.codec_context.channels,
        start_s=Fraction(stream.start_time or 0) * Fraction(stream.time_base or 1),
        language=stream.language or "",
        title=str(stream.metadata.get("title", "")),
    )

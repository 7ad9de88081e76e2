"""What is in a media file: streams, exact rates, time stamps. Read with PyAV; one frame is decoded at most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import av.stream
import numpy as np
from av import AudioStream, VideoCodecContext, VideoFrame, VideoStream
from av.container import InputContainer

from .errors import InputError
from .ffmpeg import DEMUXERS, PROTOCOLS
from .timing import nearest

# Packets may be off the grid by this part of a frame (millisecond containers, capture jitter) and still be regular.
JITTER_FRAMES = Fraction(1, 4)

# Of a variable rate, so many of the packets have to survive on the grid.
KEPT_SHARE = 0.995
USUAL_RATES = (
    *(Fraction(15), Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30)),
    *(Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60)),
)
# ITU-T H.273, tables 2 to 4, limited to what video files carry, under the names of ffmpeg's filter setparams.
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
TRANSFERS = {
    **{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 13: "iec61966-2-1"},
    **{14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67"},
}
MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}
RANGES = {1: "tv", 2: "pc"}


@dataclass(frozen=True)
class Colour:
    """Colour tags as ffmpeg's filter setparams names them; "unknown" where the file does not say."""

    primaries: str
    transfer: str
    matrix: str
    range: str


@dataclass(frozen=True)
class Picture:
    """The video stream that will be restored."""

    stream_index: int
    codec: str
    width: int
    """Coded width in samples, before rotation."""
    height: int
    pixel_format: str
    bit_depth: int
    sample_aspect_ratio: Fraction | None
    """None where the file does not say."""
    rotation_deg: int
    """Clockwise turn that a player applies: 0, 90, 180 or 270."""
    stated_rates: tuple[Fraction, ...]
    """What the container claims, most credible first; `choose_rate` tells which one its packets keep."""
    time_base: Fraction
    colour: Colour


@dataclass(frozen=True)
class Sound:
    """One sound track."""

    stream_index: int
    codec: str
    sample_rate_hz: int
    channels: int
    start_s: Fraction
    """First time stamp, on the same clock as the picture's."""
    language: str
    title: str


@dataclass(frozen=True)
class Media:
    """Everything known of a file without decoding it."""

    container: str
    picture: Picture
    sounds: tuple[Sound, ...]


@dataclass(frozen=True)
class Grid:
    """The constant-rate frame grid that a capture's own time stamps are laid on.

    Frame k of the grid shows the last packet whose time stamp rounds to tick k or an earlier one. A regular capture has
    one packet a tick; gaps become repeated frames, crowded ticks lose all but their last frame.
    """

    rate: Fraction
    start_pts: int
    """Time stamp of frame 0 in units of `time_base`."""
    time_base: Fraction
    frames: int
    packets: int
    duplicates: int
    drops: int
    irregular: bool
    """Whether some packet is off its tick by more than jitter, that is: the rate is variable."""

    @property
    def start_s(self) -> Fraction:
        """Where frame 0 begins on the file's clock, in seconds."""
        return self.start_pts * self.time_base


def probe(path: Path) -> Media:
    """Describe the streams of a file. Raises InputError if it is missing, not media or has no picture."""
    with opened(path) as container:
        videos = [s for s in container.streams.video if not _is_cover(s)]
        if not videos:
            raise InputError(
                "this file has no picture", file=path, remedy="a tape needs a video stream; check the sheet's source"
            )
        # Several pictures: the largest is the capture, the others are previews. The first of equals.
        known = [s for s in videos if s.codec_context is not None]
        if not known:
            raise InputError("the picture's codec is not known", file=path, remedy="convert the capture first")
        best = max(known, key=lambda s: (s.width * s.height, -s.index))
        return Media(
            container=container.format.name,
            picture=_picture(container, best, path),
            sounds=tuple(_sound(s) for s in container.streams.audio if s.codec_context is not None),
        )


def opened(path: Path, *, demuxer: str | None = None) -> InputContainer:
    """Open a file for reading: as `demuxer`, or as one of the formats that captures come in.

    Raises InputError with the reason if that is not possible.
    """
    if not path.exists():
        raise InputError("this file does not exist", file=path, remedy="check the column `source` of the sheet")
    if not path.is_file():
        # Opening a pipe would wait for ever, reading a device would never end.
        raise InputError("this is no regular file", file=path, remedy="copy the recording into a file")
    # The same whitelists as the ffmpeg runner has: no file may lead to another.
    options = {"protocol_whitelist": PROTOCOLS, "format_whitelist": demuxer or DEMUXERS}
    try:
        # PyAV takes text only; names that are not UTF-8 reach it as surrogates, which it encodes back.
        return av.open(f"file:{path}", mode="r", format=demuxer, options=options, metadata_errors="replace")
    # What libavformat says of a format that is not on the list, and of hardly anything else.
    except av.error.ArgumentError as error:
        raise InputError(
            "this file is of no kind that captures come in, or its head is damaged",
            file=path,
            tool="PyAV",
            remedy="a playlist, list or script is not followed: name the recording itself; convert other kinds to"
            " Matroska, for example `ffmpeg -i FILE -c copy capture.mkv`",
        ) from error
    except (av.error.FFmpegError, UnicodeError, OSError) as error:
        raise InputError(
            f"this file cannot be read as media: {getattr(error, 'strerror', None) or error}",
            file=path,
            tool="PyAV",
            remedy="play it in a media player; if that fails too, the file is damaged or not a recording",
        ) from error


def packet_times(path: Path, stream_index: int) -> tuple[np.ndarray, int]:
    """Presentation time stamps of all packets of a stream, sorted, and the duration of the last in the same unit.

    Reads the whole file. Packets that are never shown (edit lists) are left out. shape = (packets,), int64.
    Raises InputError if there are none.
    """
    times: list[int] = []
    last = (-math.inf, 0)
    with opened(path) as container:
        stream = container.streams[stream_index]
        try:
            for packet in container.demux(stream):
                if packet.size == 0 or packet.is_discard:
                    continue
                time = packet.pts if packet.pts is not None else packet.dts
                if time is None:
                    continue
                times.append(time)
                last = max(last, (time, packet.duration or 0))
        except av.error.FFmpegError:
            # A damaged tail: what was readable so far counts, the caller compares it with what was promised.
            if not times:
                raise
    if not times:
        raise InputError("this file has no frames", file=path, remedy="the recording is empty; capture it again")
    return np.sort(np.array(times, dtype=np.int64)), int(last[1])


def lay_grid(times: np.ndarray, last_duration: int, time_base: Fraction, rate: Fraction) -> Grid:
    """Lay time stamps on a constant-rate grid; `ticks` says which frame each packet gets."""
    start = int(times[0])
    grid_ticks = ticks(times, start, time_base, rate)
    distinct = np.unique(grid_ticks)
    last = int(distinct[-1])
    tail = max(1, nearest(last_duration * time_base * rate))
    exact = (times - start).astype(np.float64) * float(time_base * rate)
    # Containers count in units that may be coarse against a frame; their rounding is no irregularity.
    tolerance = float(max(JITTER_FRAMES, time_base * rate))
    steps = np.diff(grid_ticks)
    irregular = bool(np.any(np.abs(exact - grid_ticks) > tolerance) or np.any(steps != 1))
    frames = last + (tail if irregular else 1)
    return Grid(
        rate=rate,
        start_pts=start,
        time_base=time_base,
        frames=frames,
        packets=len(times),
        duplicates=frames - len(distinct),
        drops=len(times) - len(distinct),
        irregular=irregular,
    )


def ticks(times: np.ndarray, start: int, time_base: Fraction, rate: Fraction) -> np.ndarray:
    """The grid frame of each time stamp: nearest, halves up, in exact integer arithmetic. shape = (packets,), int64."""
    step = time_base * rate
    return (2 * (times - start) * step.numerator + step.denominator) // (2 * step.denominator)


def choose_rate(times: np.ndarray, time_base: Fraction, stated: Sequence[Fraction]) -> Fraction:
    """The constant rate that serves these time stamps best.

    The first of the `stated` rates under which every packet has its own tick; if there is none the capture's rate is
    variable, and the lowest usual rate is taken that drops at most one frame in 200, so that repeats rather than
    losses make up for the difference.
    """
    for rate in stated:
        if not lay_grid(times, 0, time_base, rate).irregular:
            return rate
    distinct = np.unique(times)
    if len(distinct) < 3:
        return stated[0]
    # Of a damaged capture most time stamps may be the same.
    step = float(np.median(np.diff(times))) or float(np.median(np.diff(distinct)))
    typical = 1 / (step * float(time_base))
    kept = {rate: len(np.unique(ticks(times, int(times[0]), time_base, rate))) for rate in USUAL_RATES}
    for rate in USUAL_RATES:
        if rate >= typical * 0.98 and kept[rate] >= KEPT_SHARE * len(times):
            return rate
    # Never the container's claim: of a variable rate that may be its clock, tens of thousands a second.
    return max(USUAL_RATES, key=lambda rate: kept[rate])


def _picture(container: InputContainer, stream: VideoStream, path: Path) -> Picture:
    context = stream.codec_context
    frame = _first_frame(container, stream, path)
    ratio = frame.sample_aspect_ratio if hasattr(frame, "sample_aspect_ratio") else stream.sample_aspect_ratio
    rates = [Fraction(rate) for rate in (stream.base_rate, stream.guessed_rate, stream.average_rate) if rate]
    return Picture(
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
        colour=_colour(context),
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    try:
        for frame in container.decode(stream):
            return frame
    except av.error.FFmpegError as error:
        raise InputError(
            f"no picture could be decoded: {error.strerror}", file=path, tool="PyAV", remedy="the file is damaged"
        ) from error
    raise InputError("this file has no frames", file=path, remedy="the recording is empty; capture it again")


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _colour(context: VideoCodecContext) -> Colour:
    """Numbers of ITU-T H.273 as names."""
    return Colour(
        primaries=PRIMARIES.get(int(context.color_primaries), "unknown"),
        transfer=TRANSFERS.get(int(context.color_trc), "unknown"),
        matrix=MATRICES.get(int(context.colorspace), "unknown"),
        # The yuvj formats are how older files say "full range".
        range="pc" if (context.pix_fmt or "").startswith("yuvj") else RANGES.get(int(context.color_range), "unknown"),
    )


def _sound(stream: AudioStream) -> Sound:
    return Sound(
        stream_index=stream.index,
        codec=stream.codec_context.name,
        sample_rate_hz=stream.codec_context.sample_rate,
        channels=stream.codec_context.channels,
        start_s=Fraction(stream.start_time or 0) * Fraction(stream.time_base or 1),
        language=stream.language or "",
        title=str(stream.metadata.get("title", "")),
    )


def frame_count(path: Path) -> int:
    """Number of pictures in a clip, by its packets."""
    return len(packet_times(path, probe(path).picture.stream_index)[0])

"""Decoding of audio tracks to raw samples on the timeline of the tape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Literal

import av.error
import numpy as np
from av import AudioFrame, AudioResampler, AudioStream
from av.container import InputContainer
from av.stream import Discard

from tapemill.core.timing import round_half_up
from tapemill.media.audio_samples import frame_samples
from tapemill.media.capture_info import AudioTrackInfo, SourceFileInfo
from tapemill.media.probe import open_media, read_packets

from .filters import MAX_CHANNELS
from .timeline_writer import TimelineStats, TimelineWriter

LOG = logging.getLogger("tapemill.audio")

RawFormat = Literal["s16", "s32", "flt"]
DTYPES: dict[RawFormat, str] = {"s16": "<i2", "s32": "<i4", "flt": "<f4"}
DEMUXERS: dict[RawFormat, str] = {"s16": "s16le", "s32": "s32le", "flt": "f32le"}
# Raw formats that hold every value of the decoder's format; double precision is reduced to single.
RAW_FORMATS: dict[str, RawFormat] = {"u8": "s16", "s16": "s16", "s32": "s32", "flt": "flt", "dbl": "flt"}
PEAK_SAMPLES = 1 << 20


@dataclass(frozen=True)
class RawAudioFormat:
    """Format of a track's raw samples: interleaved, little-endian."""

    raw: RawFormat
    bits: int
    """Bit depth to keep of the capture's samples: 16 or 24."""
    sample_rate_hz: int
    channels: int
    layout: str
    """ffmpeg's name; "2c" is the usual layout of two channels, "18C" no layout of 18."""


@dataclass(frozen=True)
class TimelineTrack:
    """One track on the timeline of the tape, as a file of raw samples."""

    path: Path
    format: RawAudioFormat
    counts: TimelineStats

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.counts.samples / self.format.sample_rate_hz

    def peak(self, channels: range) -> float:
        """Return the largest absolute sample of some channels, full scale 1."""
        samples = self.samples()[:, channels.start : channels.stop]
        full = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
        # Read in parts: a tape's audio may be larger than the memory.
        parts = (samples[start : start + PEAK_SAMPLES] for start in range(0, len(samples), PEAK_SAMPLES))
        return max((float(np.abs(part.astype(np.float64)).max()) for part in parts), default=0.0) / full

    def samples(self) -> np.ndarray:
        """Return the samples, mapped from the file. shape = (samples, channels)."""
        shape = (self.counts.samples, self.format.channels)
        return np.memmap(self.path, dtype=DTYPES[self.format.raw], mode="r", shape=shape)

    def source_options(self, sample_rate_hz: int | None = None) -> list[str]:
        """Return the ffmpeg input options of the file, to read it at its own sample rate or at another."""
        form = self.format
        rate_hz = form.sample_rate_hz if sample_rate_hz is None else sample_rate_hz
        return ["-f", DEMUXERS[form.raw], "-ar", str(rate_hz), "-ch_layout", form.layout]


def decode_to_timeline(
    *,
    sources: Sequence[Path],
    takes: Sequence[SourceFileInfo],
    sounds: Sequence[AudioTrackInfo],
    paths: Sequence[Path],
    reached_s: Callable[[float], None],
) -> list[TimelineTrack]:
    """Decode `sounds` in one pass over all `sources`; write each, on the tape's timeline, to its file of `paths`.

    One source is a whole capture: its audio keeps its length. Several are ready scenes: each fills exactly the samples
    of its frames, counted from the first frame of the tape, so that errors do not accumulate. A track that cannot be
    read becomes silence of the length of the video. `reached_s` is called with the seconds of the tape that are done.
    Raises InputError if a source cannot be opened.
    """
    whole = len(sources) == 1
    # The recordings joined in one file have the same streams.
    one_file = len({str(source) for source in sources}) == 1
    formats = [_probe_format(sources, index, sound, whole=one_file) for index, sound in enumerate(sounds)]
    with ExitStack() as stack:
        outs = [stack.enter_context(path.open("wb")) for path in paths]
        tracks = [_TrackDecoder(form, out) for form, out in zip(formats, outs, strict=True)]
        start_s = Fraction(0)
        for source, take in zip(sources, takes, strict=True):
            stop_s = start_s + take.frames / take.rate
            for track in tracks:
                track.start_source(clock=take, start_s=start_s, video_end_s=stop_s, fill=not whole)
            with open_media(source) as container:
                streams = [_stream(container, index, sound, whole=one_file) for index, sound in enumerate(sounds)]
                chosen = {s.index: t for s, t in zip(streams, tracks, strict=True) if s}
                _decode_all(container, chosen, source, reached_s)
            for track in tracks:
                track.end_source()
            start_s = stop_s
        for track in tracks:
            if track.writer.counts.samples == 0:
                track.writer.silence_until(round_half_up(start_s * track.format.sample_rate_hz))
    return [TimelineTrack(path, track.format, track.writer.counts) for path, track in zip(paths, tracks, strict=True)]


class _TrackDecoder:
    """Converter of one track from decoded frames to samples on the timeline."""

    def __init__(self, form: RawAudioFormat, out: IO[bytes]) -> None:
        self.format = form
        self.writer = TimelineWriter(
            out, dtype=DTYPES[form.raw], channels=form.channels, sample_rate_hz=form.sample_rate_hz
        )
        self._clock: SourceFileInfo | None = None
        self._start_s = Fraction(0)
        self._resampler: AudioResampler | None = None
        self._resampler_input: tuple[str, str, int] | None = None
        """Format, layout and rate that the resampler was made for."""

    @property
    def written_s(self) -> float:
        """Seconds written so far."""
        return self.writer.counts.samples / self.format.sample_rate_hz

    def start_source(self, *, clock: SourceFileInfo, start_s: Fraction, video_end_s: Fraction, fill: bool) -> None:
        """Start a source file, whose frame 0 is at `start_s` of the tape."""
        self._clock, self._start_s = clock, start_s
        self.writer.start_source(video_end=round_half_up(video_end_s * self.format.sample_rate_hz), fill=fill)

    def add(self, frame: AudioFrame) -> None:
        """Add the next decoded frame of the source file."""
        for converted in self._convert(frame):
            position = None
            if converted.pts is not None and converted.time_base is not None and self._clock is not None:
                seconds = self._clock.tape_s(converted.pts * Fraction(converted.time_base)) + self._start_s
                position = round_half_up(seconds * self.format.sample_rate_hz)
            self.writer.add(_interleaved(converted, self.format), position)

    def count_unreadable(self) -> None:
        """Count a packet that cannot be decoded. Its duration follows from the next time stamp."""
        self.writer.counts.unreadable_packets += 1

    def end_source(self) -> None:
        """End the source file."""
        for converted in self._flush():
            self.writer.add(_interleaved(converted, self.format), None)
        self.writer.end_source()

    def _convert(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return the frame unchanged, or resampled if a recording changes its format within the track."""
        form = self.format
        frame_format = (frame.format.packed.name, frame.layout.name, frame.sample_rate)
        if RAW_FORMATS.get(frame_format[0]) == form.raw and (frame.layout.nb_channels, frame_format[2]) == (
            form.channels,
            form.sample_rate_hz,
        ):
            return [*self._flush(), frame]
        flushed = []
        if self._resampler_input != frame_format:
            flushed = self._flush()
            self._resampler = AudioResampler(format=form.raw, layout=form.layout, rate=form.sample_rate_hz)
            self._resampler_input = frame_format
        assert self._resampler is not None
        return [*flushed, *self._resampler.resample(frame)]

    def _flush(self) -> list[AudioFrame]:
        if self._resampler is None:
            return []
        remaining = self._resampler.resample(None)
        self._resampler = self._resampler_input = None
        return remaining


def _probe_format(sources: Sequence[Path], index: int, sound: AudioTrackInfo, *, whole: bool) -> RawAudioFormat:
    """Return the track's format, from the first frame that can be decoded."""
    for source in sources:
        with open_media(source) as container:
            stream = _stream(container, index, sound, whole=whole)
            frame = _first_frame(container, stream) if stream is not None else None
            if frame is not None:
                raw = RAW_FORMATS.get(frame.format.packed.name, "flt")
                precise = raw == "s32" or (raw == "flt" and sound.codec.startswith("pcm_"))
                # No filter of ffmpeg takes "binaural".
                is_named = not frame.layout.name.endswith("channels") and frame.layout.name != "binaural"
                layout = frame.layout.name if is_named else _usual_layout(frame.layout.nb_channels)
                return RawAudioFormat(raw, 24 if precise else 16, frame.sample_rate, frame.layout.nb_channels, layout)
    channels = sound.channels or 1
    return RawAudioFormat("s16", 16, sound.sample_rate_hz or 48_000, channels, _usual_layout(channels))


def _usual_layout(channels: int) -> str:
    """Return ffmpeg's name of the usual layout of so many channels, or of none: few numbers above 8 have one."""
    return f"{channels}{'c' if channels <= MAX_CHANNELS else 'C'}"


def _stream(container: InputContainer, index: int, sound: AudioTrackInfo, *, whole: bool) -> AudioStream | None:
    """Return the track within one file. Scene files may number their streams differently, so their order is used."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if whole:
        return next((stream for stream in streams if stream.index == sound.stream_index), None)
    return streams[index] if index < len(streams) else None


def _first_frame(container: InputContainer, stream: AudioStream) -> AudioFrame | None:
    with suppress(av.error.FFmpegError):
        for packet in read_packets(container, [stream]):
            with suppress(av.error.FFmpegError):
                for frame in packet.decode():
                    if isinstance(frame, AudioFrame):
                        return frame
    return None


def _decode_all(
    container: InputContainer, tracks: Mapping[int, _TrackDecoder], source: Path, reached_s: Callable[[float], None]
) -> None:
    """Decode the streams of `tracks`, by index, as far as the file can be read."""
    for stream in container.streams:
        if stream.index not in tracks:
            stream.discard = Discard.all
    wanted = [stream for stream in container.streams if stream.index in tracks]
    errors: list[str] = []
    try:
        for packet in read_packets(container, wanted) if wanted else ():
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                tracks[packet.stream.index].count_unreadable()
                errors.append(str(error.strerror))
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    tracks[packet.stream.index].add(frame)
            reached_s(tracks[packet.stream.index].written_s)
    except av.error.FFmpegError as error:
        LOG.warning("the audio cannot be read to its end (%s): %s", error.strerror, source)
    if errors:
        LOG.warning("%d packets of audio cannot be read (first: %s): %s", len(errors), errors[0], source)


def _interleaved(frame: AudioFrame, form: RawAudioFormat) -> np.ndarray:
    """Return the samples of a frame. shape = (samples, channels), type of the raw format."""
    samples = frame_samples(frame).T
    if samples.dtype == np.uint8:
        return (samples.astype(np.int16) - 128) * np.int16(256)
    return samples.astype(DTYPES[form.raw], copy=False)

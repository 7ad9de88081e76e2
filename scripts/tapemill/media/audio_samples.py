"""Samples of an audio track, each at its true time.

A track is placed on a timeline of samples that begins with frame 0 of the file, by the rule of
`audio_placement`: gaps of its time stamps become silence, jitter is ignored. Read with PyAV, from shortly before the
requested part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np
from av import AudioFrame, AudioResampler, AudioStream
from av.container import InputContainer

from tapemill.core.timing import round_half_up

from .audio_placement import BlockPlacer
from .clock.cfr import CfrGrid
from .probe import open_media, read_packets

# Decoders need some packets before the first correct sample (bit reservoir, overlap). If a seek lands too late, the
# next one goes further back; None is the start of the file.
SEEKS_BACK_S = (Fraction(1), Fraction(15), None)
USUAL_RATE_HZ, USUAL_FORMAT = 48_000, "s16"
# Limits of audio cards and file formats.
MAX_RATE_HZ = 768_000
MAX_CHANNELS = 64
DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
FULL_SCALE = {"u8": 2**7, "s16": 2**15, "s32": 2**31, "s64": 2**63}


@dataclass(frozen=True)
class SampleFormat:
    """Sample rate, channels and depth of a track."""

    rate_hz: int
    channels: int
    sixteen_bit: bool
    """Whether 16 bits hold the full precision."""


def probe_format(path: Path, stream_index: int) -> SampleFormat:
    """Probe the sample rate, channels and depth of a track."""
    with open_media(path) as container:
        return _sample_format(_stream(container, stream_index))


def read_samples(path: Path, stream_index: int, *, clock: CfrGrid, first: int, count: int) -> np.ndarray:
    """Read samples [first, first + count) of the timeline whose sample 0 is at frame 0 of `clock`; silence fills gaps.

    shape = (channels, count), float32, full scale ±1. `first` may be negative.
    """
    track = probe_format(path, stream_index)
    samples = np.zeros((track.channels, count), dtype=np.float32)
    for back_s in SEEKS_BACK_S:
        start_s = None if back_s is None else clock.file_s(Fraction(first, track.rate_hz)) - back_s
        reached = None
        for position, block in read_blocks(path, stream_index, clock=clock, start_s=start_s):
            if reached is None:
                reached = position <= first or start_s is None
            if not reached or position >= first + count:
                break
            _copy_block(block, position - first, samples)
        # Nothing from 15 s back on: the track has ended by then.
        if reached or (reached is None and back_s == SEEKS_BACK_S[1]):
            break
    return samples


def read_blocks(
    path: Path, stream_index: int, *, clock: CfrGrid, start_s: Fraction | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a track from its beginning, or from before `start_s`; yield (position, samples) in file order.

    Positions are samples from frame 0 on. shape = (channels, samples), float32. Undecodable packets leave a gap.
    """
    with open_media(path) as container:
        stream = _stream(container, stream_index)
        track = _sample_format(stream)
        rate_hz, channels = track.rate_hz, track.channels
        if start_s is not None:
            with suppress(av.error.FFmpegError):  # a file without an index is read from its start
                container.seek(int(start_s / Fraction(stream.time_base or 1)), stream=stream, backward=True)
        placer = BlockPlacer(rate_hz)
        for number, frame in enumerate(_same_rate(_frames(container, stream), rate_hz)):
            samples = _as_float(frame)
            if samples.shape[0] != channels:
                samples = np.repeat(samples.mean(axis=0, keepdims=True), channels, axis=0)
            stated = _stated_position(frame, clock, rate_hz)
            if number == 0 and start_s is not None:
                stated = _counted(stated or 0, frame.samples, stream, clock, rate_hz)
            placer.add(samples, samples.shape[1], stated)
            if placer.is_full:
                yield _next_block(placer)
        while placer.is_pending:
            yield _next_block(placer)


def mean_square_per_frame(path: Path, stream_index: int, *, clock: CfrGrid) -> np.ndarray:
    """Return the mean square of the audio during each video frame. shape = (frames,), float64, full scale 1."""
    frames = clock.frames
    rate_hz = probe_format(path, stream_index).rate_hz
    power = np.zeros(frames)
    per_frame = clock.rate / rate_hz
    for position, block in read_blocks(path, stream_index, clock=clock):
        positions = np.arange(position, position + block.shape[1], dtype=np.int64)
        frame = positions * per_frame.numerator // per_frame.denominator
        inside = (frame >= 0) & (frame < frames)
        if inside.any():
            squares = np.square(block, dtype=np.float64).mean(axis=0)
            first = int(frame[inside][0])
            sums = np.bincount(frame[inside] - first, weights=squares[inside])
            power[first : first + len(sums)] += sums
    return power * float(per_frame)


def frame_samples(frame: AudioFrame) -> np.ndarray:
    """Return the samples of a decoded frame as they are. shape = (channels, samples).

    `AudioFrame.to_ndarray` of PyAV 18.1 reads beyond the planes of a frame of 8 channels or more, and crashes.
    """
    dtype, channels = np.dtype(DTYPES[frame.format.packed.name]), frame.layout.nb_channels
    if not frame.format.is_planar:
        packed: np.ndarray = np.frombuffer(memoryview(frame.planes[0]), dtype, frame.samples * channels)
        return packed.reshape(-1, channels).T
    planes = (memoryview(plane) for plane in frame.planes[:channels])
    return np.vstack([np.frombuffer(plane, dtype, frame.samples) for plane in planes])


def _sample_format(stream: AudioStream) -> SampleFormat:
    """Return the format that a stream states; usual values where a damaged one states none or impossible ones."""
    context = stream.codec_context
    # PyAV's type says there always is a format.
    sample_type = context.format.name if context.format is not None else USUAL_FORMAT
    sixteen_bit = sample_type.rstrip("p") in ("u8", "s16")
    rate_hz = context.sample_rate if 0 < context.sample_rate <= MAX_RATE_HZ else USUAL_RATE_HZ
    channels = context.channels if 0 < context.channels <= MAX_CHANNELS else 1
    return SampleFormat(rate_hz, channels, sixteen_bit)


def _stream(container: InputContainer, stream_index: int) -> AudioStream:
    stream = container.streams[stream_index]
    assert isinstance(stream, AudioStream)
    return stream


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Yield all frames that can be decoded. A damaged packet is skipped, a damaged container ends the track."""
    packets = read_packets(container, [stream])
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        try:
            decoded = packet.decode()
        except av.error.FFmpegError:
            continue
        yield from decoded


def _same_rate(frames: Iterator[AudioFrame], rate_hz: int) -> Iterator[AudioFrame]:
    """Resample frames to the stated rate: camcorders switch between 48 and 32 kHz from recording to recording."""
    resampler: AudioResampler | None = None
    before: tuple[int, str, str] | None = None
    for frame in frames:
        kind = frame.sample_rate, frame.format.name, frame.layout.name
        if kind != before:
            if resampler is not None:
                yield from resampler.resample(None)
            other = frame.sample_rate != rate_hz
            resampler = AudioResampler("fltp", frame.layout, rate_hz) if other else None
            before = kind
        if resampler is None:
            yield frame
        else:
            yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _as_float(frame: AudioFrame) -> np.ndarray:
    """Convert the samples of one frame, shape = (channels, samples), float32, full scale ±1."""
    samples = frame_samples(frame)
    kind = frame.format.name.removesuffix("p")
    scale = FULL_SCALE.get(kind)
    if scale is None:
        return samples.astype(np.float32)
    return ((samples.astype(np.float64) - (128 if kind == "u8" else 0)) / scale).astype(np.float32)


def _next_block(placer: BlockPlacer) -> tuple[int, np.ndarray]:
    position, samples = placer.take()
    placer.advance_to(position + samples.shape[1])
    return position, samples


def _stated_position(frame: AudioFrame, clock: CfrGrid, rate_hz: int) -> int | None:
    """Return the position that the time stamp states, None without one."""
    if frame.pts is None or frame.time_base is None:
        return None
    return round_half_up(clock.tape_s(frame.pts * Fraction(frame.time_base)) * rate_hz)


def _counted(position: int, packet: int, stream: AudioStream, clock: CfrGrid, rate_hz: int) -> int:
    """Return the position by counting equal packets from the track's first one, if it rounds to the same time stamp.

    Matroska counts milliseconds: after a seek the time stamp alone is up to 24 samples wrong.
    """
    tick_s = Fraction(stream.time_base or 1)
    if stream.start_time is None or packet == 0 or clock.drift:
        return position
    start = round_half_up(clock.tape_s(stream.start_time * tick_s) * rate_hz)
    counted = start + round_half_up(Fraction(position - start, packet)) * packet
    return counted if abs(counted - position) <= tick_s * rate_hz + 1 else position


def _copy_block(block: np.ndarray, position: int, samples: np.ndarray) -> None:
    start, stop = max(position, 0), min(position + block.shape[1], samples.shape[1])
    if start < stop:
        samples[:, start:stop] = block[:, start - position : stop - position]

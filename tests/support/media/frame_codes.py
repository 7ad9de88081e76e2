"""Captures that count: each frame, each field when interlaced, shows its number, and the sound beeps at known frames.

The number is written in Gray code as 16 pairs of big blocks, light and dark: the order in a pair is the bit. Successive
numbers differ in one pair only, which turns grey when two pictures are blended or combed: then the number is unreadable
instead of wrong. No block changes in two successive fields, so a deinterlacer has no false still picture to fall for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import av
import numpy as np
from av.filter import Graph

if TYPE_CHECKING:
    Packet = av.Packet[Any]

BITS = 16
COLUMNS, ROWS = 8, 4
MARGIN = 0.1  # of width and height around the blocks; the bottom may be cropped
CLOCK = 90_000  # ticks a second of all time stamps written
BEEP_HZ, BEEP_S = 1000, 0.02
# Luma dark and light, Cb, Cr, seed of the texture: what each scene looks like.
LOOKS = ((40, 200, 110, 150, 1), (60, 225, 160, 100, 2), (30, 175, 100, 105, 3), (50, 210, 150, 160, 4))
SOUND_CODECS = {".mp4": "aac", ".ts": "mp2", ".mpg": "mp2"}
FREE_CLOCK_CODECS = ("libx264", "libx265", "ffv1")  # they take any time stamps; the others count frames


class Reading(NamedTuple):
    """One picture as it was read back: its time on the file's clock, and its number, None if unreadable."""

    time_s: Fraction
    number: int | None


@dataclass(frozen=True)
class Truth:
    """What a counting capture holds. Times are seconds after the first picture."""

    path: Path
    rate: Fraction
    interlaced: Literal["tff", "bff"] | None
    times_s: tuple[Fraction, ...]
    """Of each frame, as written; the container may round it."""
    beeps_s: tuple[Fraction, ...]
    """Onsets that are inside the sound, those before the first picture not among them."""
    cuts: tuple[int, ...]
    """First frames of new scenes, but the first."""

    @property
    def frames(self) -> int:
        """Frames written."""
        return len(self.times_s)

    def shown(self, frames: int) -> list[int]:
        """The frame that each of the first `frames` ticks of the constant-rate grid has to show."""
        ticks = [math.floor(time * self.rate + Fraction(1, 2)) for time in self.times_s]
        return [max(n for n, tick in enumerate(ticks) if tick <= k) for k in range(frames)]

    def numbers(self, frames: Sequence[int]) -> list[int]:
        """The numbers that these frames show: their own, or those of their two fields in order of time."""
        return [n for k in frames for n in ((2 * k, 2 * k + 1) if self.interlaced else (k,))]


def irregular_times(frames: int, rate: Fraction, seed: int = 7) -> list[Fraction]:
    """Time stamps in whole milliseconds with jitter, crowded ticks and gaps of up to a second."""
    random = np.random.default_rng(seed)
    now, times = Fraction(0), []
    for _ in range(frames):
        times.append(Fraction(round(now * 1000), 1000))
        steps = random.choice([1.0, 1.1, 0.9, 0.35, 2.6, 25.0], p=[0.55, 0.15, 0.15, 0.08, 0.06, 0.01])
        now += Fraction(round(steps * 1000), 1000) / rate
    return times


def make_capture(
    path: Path,
    *,
    rate: Fraction = Fraction(25),
    frames: int = 250,
    interlaced: Literal["tff", "bff"] | None = None,
    size: tuple[int, int] = (720, 576),
    picture_start_s: Fraction = Fraction(0),
    sound_start_s: Fraction | None = Fraction(0),
    sound_stop_s: Fraction | None = None,
    times_s: Sequence[Fraction] | None = None,
    cuts: Sequence[int] = (),
    codec: str = "libx264",
    gop: int = 12,
    b_frames: int = 2,
    pixel_format: str = "yuv420p",
    sample_aspect_ratio: Fraction | None = None,
    sound_codec: str | None = None,
    sound_rate_hz: int = 48_000,
    codec_options: Mapping[str, str] | None = None,
) -> Truth:
    """Write a counting capture; the container follows from the suffix.

    `times_s` makes it a capture of variable rate (libx264, libx265 and ffv1 only). `sound_start_s` None: no sound. The
    sound beeps at every frame whose number is a multiple of the rate, rounded.
    """
    times = tuple(times_s) if times_s is not None else tuple(k / rate for k in range(frames))
    stop_s = times[-1] + 1 / rate + picture_start_s if sound_stop_s is None else sound_stop_s
    onsets = [times[k] + picture_start_s for k in range(0, len(times), round(rate))]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *size, pixel_format
        context = video.codec_context
        context.gop_size, context.max_b_frames = gop, b_frames if codec != "ffv1" else 0
        # libx264 does not always write the same bytes where threads share interlaced frames: some 1 of 2,000 differ.
        context.thread_count = 1 if interlaced else 2
        context.options = {**_speed(codec, interlaced), **(codec_options or {})}
        if sample_aspect_ratio:
            context.sample_aspect_ratio = sample_aspect_ratio
        if codec in FREE_CLOCK_CODECS:
            context.time_base = Fraction(1, CLOCK)
        packets: list[Iterator[Packet]] = [_pictures(video, times, interlaced, cuts, picture_start_s)]
        if sound_start_s is not None:
            audio = container.add_stream(sound_codec or SOUND_CODECS.get(path.suffix, "pcm_s16le"), rate=sound_rate_hz)
            assert isinstance(audio, av.AudioStream)
            audio.layout = "mono"
            packets.append(_sound(audio, onsets, sound_start_s, stop_s))
        _interleave(container, packets)
    heard = [t - picture_start_s for t in onsets if sound_start_s is not None and sound_start_s <= t < stop_s]
    return Truth(path, rate, interlaced, times, tuple(t for t in heard if t >= 0), tuple(cuts))


def picture(
    number: int, second: int | None, look: int, size: tuple[int, int], field_order: str | None
) -> tuple[np.ndarray, int, int]:
    """Luma of one frame, shape = (height, width), uint8, its Cb and its Cr. `second`: number of the later field."""
    dark, light, cb, cr, seed = LOOKS[look % len(LOOKS)]
    luma = _texture(seed, size).copy()
    _write(luma, number, dark, light)
    if second is not None:
        other = luma.copy()
        _write(other, second, dark, light)
        late = 1 if field_order == "tff" else 0
        luma[late::2] = other[late::2]
    return luma, cb, cr


def read_number(luma: np.ndarray) -> int | None:
    """The number that a picture shows, None if it cannot be read. `luma` shape = (height, width)."""
    means = np.array([[luma[_cell(r, c, luma.shape, inner=0.4)].mean() for c in range(COLUMNS)] for r in range(ROWS)])
    signs = (means[:, 0::2] - means[:, 1::2]).ravel()
    if np.any(np.abs(signs) < 0.5 * np.ptp(means)) or np.ptp(means) < 30:
        return None
    gray = sum(1 << bit for bit in range(BITS) if signs[bit] > 0)
    number = 0
    while gray:
        number ^= gray
        gray >>= 1
    return number


def read_numbers(path: Path, *, fields: Literal["tff", "bff"] | None = None) -> list[Reading]:
    """Decode a video and read every picture; with `fields`, every field in order of time."""
    readings = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        half = 1 / Fraction(stream.average_rate or 25) / 2
        for frame in container.decode(stream):
            luma = frame.reformat(format="gray").to_ndarray()
            time = _time_s(frame)
            if fields is None:
                readings.append(Reading(time, read_number(luma)))
            else:
                early = 0 if fields == "tff" else 1
                readings.append(Reading(time, read_number(luma[early::2])))
                readings.append(Reading(time + half, read_number(luma[1 - early :: 2])))
    return readings


def beep_times(path: Path, stream: int = 0, *, threshold: float = 0.3) -> list[float]:
    """Onsets in an audio stream (its number among the sounds), in seconds on the file's clock.

    Gaps in the time stamps are respected: each decoded block stands at its own time.
    """
    blocks = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[stream]):
            samples = frame.to_ndarray()
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            mono = samples.astype(np.float64).mean(axis=0)
            start = float(_time_s(frame))
            blocks.append((start + np.arange(len(mono)) / frame.sample_rate, mono))
    return onsets_s(*(np.concatenate(part) for part in zip(*blocks, strict=True)), threshold=threshold)


def onsets_s(times: np.ndarray, samples: np.ndarray, *, threshold: float = 0.3) -> list[float]:
    """Where beeps begin. `times` in seconds and `samples`, both of shape (samples,)."""
    loud = np.flatnonzero(np.abs(samples) > threshold * np.abs(samples).max())
    first = np.ones(len(loud), dtype=bool)
    first[1:] = np.diff(times[loud]) > 2 * BEEP_S
    return [float(time) for time in times[loud[first]]]


def _time_s(frame: av.VideoFrame | av.AudioFrame) -> Fraction:
    assert frame.pts is not None
    assert frame.time_base is not None
    return frame.pts * Fraction(frame.time_base)


def _speed(codec: str, interlaced: str | None) -> dict[str, str]:
    options = {"libx264": {"preset": "superfast", "crf": "20"}, "libx265": {"preset": "ultrafast"}}.get(codec, {})
    if codec in ("mpeg2video", "mpeg4"):
        options = {"qscale": "3", "b": "8000k"}
    if interlaced and codec in ("libx264", "mpeg2video"):
        options["flags"] = "+ildct+ilme"
    return options


def _pictures(
    stream: av.VideoStream, times: Sequence[Fraction], interlaced: str | None, cuts: Sequence[int], start_s: Fraction
) -> Iterator[Packet]:
    mark = _field_marker(stream, interlaced)
    free = stream.codec_context.name in FREE_CLOCK_CODECS
    unit = Fraction(1, CLOCK) if free else 1 / Fraction(stream.codec_context.framerate)

    def shifted(packets: list[Packet]) -> Iterator[Packet]:
        for packet in packets:
            for name in ("pts", "dts"):
                value = getattr(packet, name)
                setattr(packet, name, None if value is None else round((value * packet.time_base + start_s) * CLOCK))
            packet.time_base = Fraction(1, CLOCK)
            yield packet

    size = stream.width, stream.height
    for k, time in enumerate(times):
        first, second = (2 * k, 2 * k + 1) if interlaced else (k, None)
        luma, cb, cr = picture(first, second, sum(cut <= k for cut in cuts), size, interlaced)
        frame = mark(_frame(luma, cb, cr, str(stream.pix_fmt)))
        frame.pts, frame.time_base = (round(time * CLOCK) if free else k), unit
        yield from shifted(stream.encode(frame))
    yield from shifted(stream.encode(None))


def _frame(luma: np.ndarray, cb: int, cr: int, pixel_format: str) -> av.VideoFrame:
    height, width = luma.shape
    chroma = -(-height // 2), -(-width // 2)
    planes = [luma, np.full(chroma, cb, np.uint8), np.full(chroma, cr, np.uint8)]
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, data in zip(frame.planes, planes, strict=True):
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, : data.shape[1]] = data
        plane.update(padded.tobytes())
    return frame if pixel_format == "yuv420p" else frame.reformat(format=pixel_format)


def _field_marker(stream: av.VideoStream, interlaced: str | None) -> Callable[[av.VideoFrame], av.VideoFrame]:
    """Marker of the field order. Encoders read it from each frame, and only a filter can write it there."""
    if interlaced is None:
        return lambda frame: frame
    graph = Graph()
    source = graph.add_buffer(
        width=stream.width,
        height=stream.height,
        format=av.VideoFormat(str(stream.pix_fmt)),
        time_base=Fraction(1, CLOCK),
    )
    setter, sink = graph.add("setfield", interlaced), graph.add("buffersink")
    source.link_to(setter)
    setter.link_to(sink)
    graph.configure()

    def mark(frame: av.VideoFrame) -> av.VideoFrame:
        graph.push(frame)
        marked = graph.pull()
        assert isinstance(marked, av.VideoFrame)
        return marked

    return mark


def _sound(stream: av.AudioStream, onsets: Sequence[Fraction], start_s: Fraction, stop_s: Fraction) -> Iterator[Packet]:
    rate = stream.rate
    samples = np.zeros(round((stop_s - start_s) * rate), np.float32)
    beep = 0.8 * np.cos(2 * np.pi * BEEP_HZ * np.arange(round(BEEP_S * rate)) / rate).astype(np.float32)
    for onset in onsets:
        first = round((onset - start_s) * rate)
        if first >= 0:
            room = samples[first : first + len(beep)]
            room[:] = beep[: len(room)]
    resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
    block = stream.codec_context.frame_size or 1024
    for position in range(0, len(samples), block):
        frame = av.AudioFrame.from_ndarray(samples[None, position : position + block], format="fltp", layout="mono")
        frame.rate, frame.time_base = rate, Fraction(1, rate)
        for ready in resampler.resample(frame):
            ready.pts, ready.time_base = position + round(start_s * rate), Fraction(1, rate)
            yield from stream.encode(ready)
    yield from stream.encode(None)


def _interleave(container: av.container.OutputContainer, streams: Sequence[Iterator[Packet]]) -> None:
    """Mux packets of all streams in order of decoding time, as recorders do."""
    heads = [(next(packets, None), packets) for packets in streams]
    while live := [(head, packets) for head, packets in heads if head is not None]:
        head, packets = min(live, key=lambda pair: (pair[0].dts or 0) * Fraction(pair[0].time_base or 1))
        container.mux(head)
        heads = [(next(p, None), p) if p is packets else (h, p) for h, p in heads]


def _texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    """A still, moderate background: soft random patches. shape = (height, width), uint8."""
    key = seed, size
    if key not in _TEXTURES:
        width, height = size
        coarse = np.random.default_rng(seed).integers(70, 170, (height // 24 + 2, width // 24 + 2))
        _TEXTURES[key] = np.kron(coarse, np.ones((24, 24)))[:height, :width].astype(np.uint8)
    return _TEXTURES[key]


_TEXTURES: dict[tuple[int, tuple[int, int]], np.ndarray] = {}


def _write(luma: np.ndarray, number: int, dark: int, light: int) -> None:
    gray = number ^ number >> 1
    for bit in range(BITS):
        row, pair = divmod(bit, COLUMNS // 2)
        left, right = (light, dark) if gray >> bit & 1 else (dark, light)
        luma[_cell(row, 2 * pair, luma.shape)] = left
        luma[_cell(row, 2 * pair + 1, luma.shape)] = right


def _cell(row: int, column: int, shape: tuple[int, ...], inner: float = 1.0) -> tuple[slice, slice]:
    """The block at (row, column), or its inner part only."""

    def part(index: int, count: int, length: int) -> slice:
        step = (1 - 2 * MARGIN) * length / count
        middle = MARGIN * length + (index + 0.5) * step
        return slice(round(middle - inner * step / 2), round(middle + inner * step / 2))

    return part(row, ROWS, shape[0]), part(column, COLUMNS, shape[1])

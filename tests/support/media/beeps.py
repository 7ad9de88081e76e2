"""Sound that beeps at known samples, in captures of all kinds, and where the beeps are found again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tapemill.media.audio_samples import frame_samples
from tapemill.media.capture_info import AudioTrackInfo, SourceFileInfo
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.capture_info import capture_of

BEEP_HZ = 1000
BEEP_S = 0.02
NTSC = Fraction(30000, 1001)


def beeping(seconds: float, rate: int, *, channels: int = 1, dtype: str = "<i2", offset_s: float = 0.1) -> np.ndarray:
    """A beep every second, `offset_s` after it. shape = (samples, channels)."""
    samples = np.zeros(round(seconds * rate))
    beep = 0.5 * np.sin(2 * np.pi * BEEP_HZ * np.arange(round(BEEP_S * rate)) / rate)
    for second in np.arange(0, seconds - offset_s - BEEP_S, 1.0):
        start = round((second + offset_s) * rate)
        samples[start : start + len(beep)] = beep
    scale = np.iinfo(dtype).max if np.dtype(dtype).kind == "i" else 1.0
    return np.repeat((samples * scale).astype(dtype)[:, None], channels, axis=1)


def found_beeps(samples: np.ndarray, rate: int) -> list[float]:
    """Onsets of the beeps in seconds, by correlation. shape of samples = (samples,)."""
    beep = np.sin(2 * np.pi * BEEP_HZ * np.arange(round(BEEP_S * rate)) / rate)
    match = np.correlate(samples.astype(np.float64), beep, "valid")
    onsets = []
    while len(match) and match.max() > 0.6 * beep @ beep * 0.5:
        best = int(match.argmax())
        onsets.append(best / rate)
        match[max(0, best - len(beep) * 2) : best + len(beep) * 2] = 0
    return sorted(onsets)


def run(*arguments: object) -> None:
    """Run ffmpeg."""
    ffmpeg.run([str(argument) for argument in arguments], concerns=Path("test"), timeout_s=120)


def raw(path: Path, samples: np.ndarray, rate: int) -> list[object]:
    """Write samples and return the options that make ffmpeg read them."""
    path.write_bytes(samples.tobytes())
    demuxer = {"<i2": "s16le", "<i4": "s32le", "<f4": "f32le"}[samples.dtype.str]
    return ["-f", demuxer, "-ar", rate, "-ac", samples.shape[1], "-i", f"file:{path}"]


def capture(
    path: Path,
    sounds: Sequence[tuple[np.ndarray, int, Sequence[object]]],
    *,
    frames: int = 150,
    rate: Fraction = NTSC,
    sound_offset_s: float = 0.0,
    muxer: str = "matroska",
    picture_codec: str = "libx264",
) -> Path:
    """A tiny picture with sound tracks of (samples, rate, encoder options), shifted against the picture."""
    # Not -frames:v, which would end the sound with the picture.
    inputs: list[object] = ["-f", "lavfi", "-i", f"color=s=32x32:r={rate},trim=end_frame={frames}"]
    late_s, early_s = max(0.0, sound_offset_s), max(0.0, -sound_offset_s)
    outputs: list[object] = ["-map", "0:v", "-vf", f"setpts=PTS+{early_s}/TB", "-fps_mode", "passthrough"]
    outputs += ["-c:v", picture_codec, *(["-preset", "ultrafast"] if picture_codec == "libx264" else [])]
    for place, (samples, sample_rate, options) in enumerate(sounds):
        inputs += raw(path.parent / f"track{place}.raw", samples, sample_rate)
        outputs += ["-map", f"{place + 1}:a", f"-filter:a:{place}", f"asetpts=PTS+{late_s}/TB"]
        for key, value in zip(options[::2], options[1::2], strict=True):
            outputs += [f"{key}:a:{place}", value]
    run(*inputs, *outputs, *ffmpeg.output_args(path, muxer))
    return path


def facts(path: Path) -> tuple[SourceFileInfo, tuple[AudioTrackInfo, ...]]:
    """What the capture stage finds of one file."""
    capture = capture_of(path)
    return capture.takes[0], capture.sounds


def rewritten(source: Path, target: Path, change: object, *, muxer: str = "matroska") -> Path:
    """A copy of a file whose packets went through `change(packet, number in its stream)`; None drops one."""
    counts: dict[int, int] = {}
    with av.open(str(source)) as container, av.open(str(target), "w", format=muxer) as output:
        streams = {s.index: output.add_stream_from_template(s, opaque=True) for s in container.streams}
        for packet in container.demux():
            if packet.size == 0:
                continue
            number = counts.get(packet.stream.index, 0)
            counts[packet.stream.index] = number + 1
            kept = change(packet, number) if packet.stream.type == "audio" else packet  # type: ignore[operator]
            if kept is not None:
                kept.stream = streams[packet.stream.index]
                output.mux(kept)
    return target


def garbled(packet: av.Packet[Any]) -> av.Packet[Any]:
    """A packet of the same time that no decoder can read."""
    other = av.Packet(b"\x55" * packet.size)
    other.pts, other.dts, other.time_base, other.stream = packet.pts, packet.dts, packet.time_base, packet.stream
    return other


def heard(path: Path, tmp_path: Path, track: int = 0) -> tuple[np.ndarray, int]:
    """First channel of a sound track as a player hears it, on the file's clock. shape = (samples,)."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[track].codec_context.sample_rate
    out = tmp_path / "heard.f32"
    # Players show time zero at the first picture: silence where sound starts later, nothing from before.
    place = ["-copyts", "-i", f"file:{path}", "-map", f"0:a:{track}", "-af", "aresample=async=1:first_pts=0"]
    run(*place, "-c:a", "pcm_f32le", "-ac", 1, *ffmpeg.output_args(out, "f32le"))
    return np.fromfile(out, "<f4"), rate


def decoded(path: Path, track: int = 0) -> np.ndarray:
    """All samples of a track just as they are stored. shape = (samples, channels)."""
    with av.open(str(path)) as container:
        return np.concatenate([frame_samples(frame).T for frame in container.decode(container.streams.audio[track])])

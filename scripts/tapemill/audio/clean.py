"""The tape's sound: every track of the capture, whole, from the first picture on, cleaned if asked, encoded once."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapemill.core.errors import GateError
from tapemill.core.progress import progress_by_seconds, report
from tapemill.media import ffmpeg
from tapemill.media.capture_info import AudioTrackInfo, SourceFileInfo
from tapemill.media.ffmpeg import version
from tapemill.media.ffmpeg.command import redact_paths
from tapemill.media.ffmpeg.limits import max_output_bytes, timeout_s
from tapemill.media.output_checks import REMEDY, check_loudness, open_output, peak_amplitude
from tapemill.storage.atomic import scratch_dir, staged, write_json
from tapemill.storage.disk_space import translate_os_errors

from .filters import MEASURE, AudioSettings, Loudness, filters, gain_db, noise_floor_db, parse_loudness
from .timeline import TimelineTrack, decode_to_timeline

LOG = logging.getLogger("tapemill.audio")

# Encoding runs at a hundred times the speed of the tape, with all filters at twenty; this is for a busy machine.
SECONDS_PER_SECOND = 1.0
Follow = Callable[[str], Callable[[float], None]]
"""Begins to tell how far a step is; it is told the seconds of the tape that are done."""
SAMPLE_FORMATS = {16: "s16", 24: "s32"}
# Of the codecs that are not lossless, the most samples that a last packet may be filled up with.
LONGEST_PACKET_SAMPLES = 2048


@dataclass(frozen=True)
class _Job:
    """One laid track and what is done to it."""

    laid: TimelineTrack
    sound: AudioTrackInfo
    chain: tuple[str, ...]
    noise_db: float | None
    loudness: Loudness | None
    gain_db: float


def clean_sound(
    *,
    sources: Sequence[Path],
    takes: Sequence[SourceFileInfo],
    sounds: Sequence[AudioTrackInfo],
    target: Path,
    record: Path,
    settings: AudioSettings,
) -> None:
    """Write the sound of a tape as Matroska to `target` and what was done to it as JSON to `record`.

    `takes` are in the order of `sources`: the capture alone, or the scene files of a folder. Sample 0 of every track is
    the start of grid frame 0. Nothing is resampled (except by Opus, which knows 48 kHz only) and nothing stretched.
    What cannot be read of a track is silence. A capture without sound makes an empty file. Raises InputError if a
    source cannot be opened, GateError if a track came out shorter or longer than it went in.
    """
    if not sounds:
        with staged(target) as partial:
            partial.touch()
        write_json(record, {"codec": settings.codec, "tracks": []})
        return
    chosen = list(sounds[:1] if settings.tracks == "first" else sounds)
    frames, seconds = sum(take.frames for take in takes), float(sum(take.frames / take.rate for take in takes))
    follow = functools.partial(progress_by_seconds, frames, seconds)
    with translate_os_errors(target), scratch_dir(target) as folder:
        # On the target's disk, where there is room for sound.
        paths = [folder / f"{place}.raw" for place in range(len(chosen))]
        laid = decode_to_timeline(sources=sources, takes=takes, sounds=chosen, paths=paths, reached_s=follow("reading"))
        jobs = [_prepare(track, sound, settings, target, follow) for track, sound in zip(laid, chosen, strict=True)]
        with staged(target) as partial:
            command = _encode(jobs, partial, target, settings, follow("encoding"))
            _check(jobs, partial, target, settings, follow)
    made = {"commands": [command], "programs": version.tool_versions("av", "numpy", with_ffmpeg=True)}
    write_json(record, {"codec": settings.codec, "tracks": [_to_plain(job, settings) for job in jobs], **made})
    report(f"the sound of {frames} frames, in {len(jobs)} tracks", frames=frames)


def _prepare(laid: TimelineTrack, sound: AudioTrackInfo, settings: AudioSettings, target: Path, follow: Follow) -> _Job:
    rate = laid.format.sample_rate_hz
    noise_db = noise_floor_db(laid.samples(), rate) if settings.hiss_db > 0 else None
    chain = filters(settings, sample_rate_hz=rate, noise_db=noise_db)
    loudness = None
    gain = 0.0
    if settings.loudness_lufs is not None:
        loudness = _measure(laid, chain, target, follow("measuring"))
        gain = gain_db(loudness, settings)
        if gain:
            # Two-pass normalisation without a change of dynamics is one constant gain: nothing is resampled.
            chain = [*(chain or ["aformat=sample_fmts=dblp"]), f"volume=volume={gain:.2f}dB:precision=double"]
    job = _Job(laid, sound, tuple(chain), noise_db, loudness, gain)
    LOG.info("sound track of %.3f s: %s", laid.duration_s, _to_plain(job, settings))
    return job


def _measure(laid: TimelineTrack, chain: Sequence[str], target: Path, reached_s: Callable[[float], None]) -> Loudness:
    output = ffmpeg.run(
        [
            *ffmpeg.input_args(laid.path, options=laid.source_options()),
            *("-af", ",".join([*chain, MEASURE]), "-f", "null", "-"),
        ],
        concerns=target,
        timeout_s=_time_limit([laid]),
        verbosity="info",
        reached_s=reached_s,
    )
    return parse_loudness(output)


def _encode(
    jobs: Sequence[_Job],
    partial: Path,
    target: Path,
    settings: AudioSettings,
    reached_s: Callable[[float], None],
) -> str:
    """Write the tracks; returns the command for the record."""
    arguments: list[str] = []
    outputs: list[str] = []
    for place, job in enumerate(jobs):
        arguments += ffmpeg.input_args(job.laid.path, options=job.laid.source_options())
        outputs += ["-map", f"{place}:a", *_codec(job, place, settings)]
        if job.chain:
            outputs += [f"-filter:a:{place}", ",".join(job.chain)]
        outputs += [f"-metadata:s:a:{place}", f"language={job.sound.language or 'und'}"]
        outputs += [f"-metadata:s:a:{place}", f"title={job.sound.title}"]
        outputs += [f"-disposition:a:{place}", "default" if place == 0 else "0"]
    # Without a limit the muxer never gives up waiting for a track, so the order of packets depends on nothing but time.
    outputs += ["-max_interleave_delta", "0"]
    arguments += [*ffmpeg.BITEXACT, *outputs, *ffmpeg.output_args(partial, "matroska")]
    ffmpeg.run(
        arguments,
        concerns=target,
        timeout_s=_time_limit([job.laid for job in jobs]),
        max_output_bytes=max_output_bytes(sound_bytes=sum(job.laid.path.stat().st_size for job in jobs)),
        reached_s=reached_s,
    )
    names: dict[str | Path, str] = {job.laid.path: f"track {place}" for place, job in enumerate(jobs, 1)}
    return redact_paths(arguments, {**names, partial: "sound"})


def _codec(job: _Job, place: int, settings: AudioSettings) -> list[str]:
    form = job.laid.format
    if settings.codec == "flac":
        return [f"-c:a:{place}", "flac", f"-sample_fmt:a:{place}", SAMPLE_FORMATS[form.bits]]
    if settings.codec == "pcm":
        return [f"-c:a:{place}", f"pcm_s{form.bits}le"]
    encoder = {"aac": "aac", "opus": "libopus"}[settings.codec]
    return [f"-c:a:{place}", encoder, f"-b:a:{place}", f"{settings.bitrate_kbps}k"]


def _time_limit(laid: Sequence[TimelineTrack]) -> float:
    return timeout_s(seconds=SECONDS_PER_SECOND * sum(track.duration_s for track in laid))


def _check(jobs: Sequence[_Job], partial: Path, target: Path, settings: AudioSettings, follow: Follow) -> None:
    """The gate: as many samples come out as went in, the first is at time zero, and sound is not silence."""
    for place, job in enumerate(jobs):
        found, start_s, loudest, reached_s = 0, None, 0.0, follow("checking")
        with open_output(partial, target=target) as container:
            if len(container.streams.audio) != len(jobs):
                raise GateError(
                    f"{len(container.streams.audio)} sound tracks were written, not {len(jobs)}",
                    file=target,
                    remedy=REMEDY,
                )
            stream = container.streams.audio[place]
            for frame in container.decode(stream):
                start_s = frame.time if start_s is None else start_s
                found += frame.samples
                # Where anything is heard, it is not silent: no need to look at the rest.
                loudest = loudest or peak_amplitude(frame)
                reached_s(found / frame.sample_rate)
            rate = stream.codec_context.sample_rate
        expected = job.laid.counts.samples * rate / job.laid.format.sample_rate_hz
        spare = 0 if settings.codec in ("flac", "pcm") else LONGEST_PACKET_SAMPLES
        if not expected - 1 < found < expected + spare + 1 or abs(start_s or 0.0) > 0.001:
            raise GateError(
                f"sound track {place + 1} has {found} samples from {start_s} s on, not {expected:.0f} from 0 s on",
                file=target,
                remedy=REMEDY,
            )
        if not loudest:
            check_loudness(written=loudest, was=job.laid.peak(), target=target)


def _to_plain(job: _Job, settings: AudioSettings) -> dict[str, Any]:
    loudness = job.loudness
    return {
        **job.laid.to_plain(),
        "source_stream": job.sound.stream_index,
        "source_codec": job.sound.codec,
        "filters": list(job.chain),
        "noise_floor_db": None if job.noise_db is None else round(job.noise_db, 2),
        "gain_db": round(job.gain_db, 2),
        "loudness_before_lufs": _finite(loudness.integrated_lufs if loudness else None),
        "loudness_after_lufs": _finite(loudness.integrated_lufs + job.gain_db if loudness else None),
        "true_peak_after_db": _finite(loudness.true_peak_db + job.gain_db if loudness else None),
        "held_back_by_peak": bool(
            loudness
            and settings.loudness_lufs is not None
            and loudness.integrated_lufs + job.gain_db < settings.loudness_lufs - 0.1
        ),
    }


def _finite(value: float | None) -> float | None:
    # JSON has no infinity; silence has no loudness.
    return round(value, 2) if value is not None and math.isfinite(value) else None

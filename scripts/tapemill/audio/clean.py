"""Audio of a tape: every track of the capture, whole, from the first frame on, filtered on request, encoded once."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tapemill.core.errors import GateError
from tapemill.core.progress import progress_by_seconds, report
from tapemill.media import ffmpeg
from tapemill.media.capture_info import AudioTrackInfo, SourceFileInfo
from tapemill.media.ffmpeg import version
from tapemill.media.ffmpeg.command import redact_paths
from tapemill.media.ffmpeg.limits import max_output_bytes, timeout_s
from tapemill.media.output_checks import REMEDY, check_loudness, open_output, peak_amplitude
from tapemill.records.audio import AudioRecord
from tapemill.storage.atomic import scratch_dir, staged, write_json
from tapemill.storage.disk_space import translate_os_errors
from tapemill.storage.fingerprint import sha256

from .filters import (
    MAX_CHANNELS,
    MEASURE,
    AudioSettings,
    Loudness,
    filters,
    fit_layout,
    gain_db,
    noise_floor_db,
    parse_loudness,
    select_channels,
)
from .stretch import Stretch, plan_stretch
from .timeline import TimelineTrack, decode_to_timeline
from .track_job import TrackJob

LOG = logging.getLogger("tapemill.audio")

# Encoding runs at a hundred times the speed of the tape, with all filters at twenty; this is for a busy machine.
TIMEOUT_PER_SECOND = 1.0
StartProgress = Callable[[str], Callable[[float], None]]
"""Starts the progress of a step, by name; returns a callback for the seconds of the tape that are done."""
SAMPLE_FORMATS = {16: "s16", 24: "s32"}
# Lossy codecs may pad the last packet with up to this many samples.
MAX_PADDING_SAMPLES = 2048


def clean_sound(
    *,
    sources: Sequence[Path],
    takes: Sequence[SourceFileInfo],
    sounds: Sequence[AudioTrackInfo],
    target: Path,
    record: Path,
    settings: AudioSettings,
) -> None:
    """Write the audio of a tape as Matroska to `target`, and its processing as JSON to `record`.

    `takes` are in the order of `sources`: the capture alone, or the scene files of a folder; recordings joined in one
    capture all have this source. Sample 0 of every track is the start of grid frame 0. Nothing is resampled, except by
    Opus, which supports 48 kHz only, and to the length of the picture, if requested. Unreadable parts of a track are
    silence. A capture without audio makes an empty file. Raises InputError if a source cannot be opened, GateError if a
    track came out shorter or longer than it should.
    """
    if not sounds:
        with staged(target) as partial:
            partial.touch()
        write_json(record, AudioRecord(settings.codec, (), sha256=sha256(target)).to_plain())
        return
    chosen = list(sounds[:1] if settings.tracks == "first" else sounds)
    frames, seconds = sum(take.frames for take in takes), float(sum(take.frames / take.rate for take in takes))
    start_progress = functools.partial(progress_by_seconds, frames, seconds)
    with translate_os_errors(target), scratch_dir(target) as folder:
        # On the target's disk, which has space for audio.
        files = sources if len(sources) == len(takes) else [*sources] * len(takes)
        located = [take.located(file) for file, take in zip(files, takes, strict=True)]
        paths = [folder / f"{index}.raw" for index in range(len(chosen))]
        tracks = decode_to_timeline(
            sources=located, takes=takes, sounds=chosen, paths=paths, reached_s=start_progress("reading")
        )
        picture_s = takes[0].frames / takes[0].rate if settings.stretch_to_picture and len(takes) == 1 else None
        jobs = [
            _prepare(track, channels, sound, stretch, settings, target, start_progress)
            for track, sound in zip(tracks, chosen, strict=True)
            for stretch in (plan_stretch(track, sound, picture_s),)
            for channels in channel_groups(track.format.channels)
        ]
        with staged(target) as partial:
            command = _encode(jobs, partial, target, settings, start_progress("encoding"))
            _check(jobs, partial, target, settings, start_progress)
    written = AudioRecord(
        codec=settings.codec,
        tracks=tuple(job.record(settings) for job in jobs),
        commands=(command,),
        programs=version.tool_versions("av", "numpy", with_ffmpeg=True),
        sha256=sha256(target),
    )
    write_json(record, written.to_plain())
    report(f"the audio of {frames} frames, in {len(jobs)} tracks", frames=frames)


def channel_groups(channels: int) -> list[range]:
    """Divide the channels of a track into those of one track each: no codec of tapes has more than MAX_CHANNELS."""
    return [range(start, min(start + MAX_CHANNELS, channels)) for start in range(0, channels, MAX_CHANNELS)]


def _prepare(
    track: TimelineTrack,
    channels: range,
    sound: AudioTrackInfo,
    stretch: Stretch | None,
    settings: AudioSettings,
    target: Path,
    start_progress: StartProgress,
) -> TrackJob:
    rate = track.format.sample_rate_hz
    samples = track.samples()[:, channels.start : channels.stop]
    noise_db = noise_floor_db(samples, rate) if settings.hiss_db > 0 else None
    chain = filters(settings, sample_rate_hz=rate, noise_db=noise_db)
    if stretch is not None:
        chain = [*stretch.filters(rate), *chain]
    if len(channels) < track.format.channels:
        chain = [select_channels(channels, settings.codec), *chain]
    else:
        chain += fit_layout(track.format.layout, len(channels), settings.codec)
    job = TrackJob(track, channels, sound, stretch, tuple(chain), noise_db)
    if settings.loudness_lufs is not None:
        loudness = _measure(job, target, start_progress("measuring"))
        gain = gain_db(loudness, settings)
        if gain:
            # Two-pass normalisation without a change of dynamics is one constant gain: nothing is resampled.
            chain = [*(chain or ["aformat=sample_fmts=dblp"]), f"volume=volume={gain:.2f}dB:precision=double"]
        job = replace(job, chain=tuple(chain), loudness=loudness, gain_db=gain)
    LOG.info("audio track of %.3f s: %s", track.duration_s, job.record(settings).to_plain())
    return job


def _measure(job: TrackJob, target: Path, reached_s: Callable[[float], None]) -> Loudness:
    output = ffmpeg.run(
        [
            *ffmpeg.input_args(job.track.path, options=job.source_options()),
            *("-af", ",".join([*job.chain, MEASURE]), "-f", "null", "-"),
        ],
        concerns=target,
        timeout_s=_timeout_s([job.track]),
        verbosity="info",
        reached_s=reached_s,
    )
    return parse_loudness(output)


def _encode(
    jobs: Sequence[TrackJob],
    partial: Path,
    target: Path,
    settings: AudioSettings,
    reached_s: Callable[[float], None],
) -> str:
    """Write the tracks; returns the command for the record."""
    arguments: list[str] = []
    outputs: list[str] = []
    for index, job in enumerate(jobs):
        arguments += ffmpeg.input_args(job.track.path, options=job.source_options())
        outputs += ["-map", f"{index}:a", *_codec(job, index, settings)]
        if job.chain:
            outputs += [f"-filter:a:{index}", ",".join(job.chain)]
        outputs += [f"-metadata:s:a:{index}", f"language={job.sound.language or 'und'}"]
        title = f"{job.sound.title} ({job.source_channels})".lstrip() if job.is_part else job.sound.title
        outputs += [f"-metadata:s:a:{index}", f"title={title}"]
        outputs += [f"-disposition:a:{index}", "default" if index == 0 else "0"]
    # Without a limit the muxer always waits for all tracks, so the order of packets depends only on their time.
    outputs += ["-max_interleave_delta", "0"]
    arguments += [*ffmpeg.BITEXACT, *outputs, *ffmpeg.output_args(partial, "matroska")]
    ffmpeg.run(
        arguments,
        concerns=target,
        timeout_s=_timeout_s([job.track for job in jobs]),
        max_output_bytes=max_output_bytes(sound_bytes=sum(job.track.path.stat().st_size for job in jobs)),
        reached_s=reached_s,
    )
    inputs = dict.fromkeys(job.track.path for job in jobs)
    names: dict[str | Path, str] = {path: f"track {index}" for index, path in enumerate(inputs, 1)}
    return redact_paths(arguments, {**names, partial: "sound"})


def _codec(job: TrackJob, index: int, settings: AudioSettings) -> list[str]:
    form = job.track.format
    if settings.codec == "flac":
        return [f"-c:a:{index}", "flac", f"-sample_fmt:a:{index}", SAMPLE_FORMATS[form.bits]]
    if settings.codec == "pcm":
        return [f"-c:a:{index}", f"pcm_s{form.bits}le"]
    encoder = {"aac": "aac", "opus": "libopus"}[settings.codec]
    return [f"-c:a:{index}", encoder, f"-b:a:{index}", f"{settings.bitrate_kbps}k"]


def _timeout_s(tracks: Sequence[TimelineTrack]) -> float:
    return timeout_s(seconds=TIMEOUT_PER_SECOND * sum(track.duration_s for track in tracks))


def _check(
    jobs: Sequence[TrackJob], partial: Path, target: Path, settings: AudioSettings, start_progress: StartProgress
) -> None:
    """Verify the output: as many samples as went in, the first at time zero, and no unexpected silence."""
    for index, job in enumerate(jobs):
        found, start_s, peak, reached_s = 0, None, 0.0, start_progress("checking")
        with open_output(partial, target=target) as container:
            if len(container.streams.audio) != len(jobs):
                raise GateError(
                    f"{len(container.streams.audio)} audio tracks were written, not {len(jobs)}",
                    file=target,
                    remedy=REMEDY,
                )
            stream = container.streams.audio[index]
            for frame in container.decode(stream):
                start_s = frame.time if start_s is None else start_s
                found += frame.samples
                # One sample above zero is enough.
                peak = peak or peak_amplitude(frame)
                reached_s(found / frame.sample_rate)
            rate = stream.codec_context.sample_rate
        expected = job.samples * rate / job.track.format.sample_rate_hz
        padding = 0 if settings.codec in ("flac", "pcm") else MAX_PADDING_SAMPLES
        if not expected - 1 < found < expected + padding + 1 or abs(start_s or 0.0) > 0.001:
            raise GateError(
                f"audio track {index + 1} has {found} samples from {start_s} s on, not {expected:.0f} from 0 s on",
                file=target,
                remedy=REMEDY,
            )
        if not peak:
            check_loudness(written=peak, was=job.track.peak(job.channels), target=target)

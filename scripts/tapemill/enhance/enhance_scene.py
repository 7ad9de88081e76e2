"""Enhance one scene: detect its field order, run the chain, verify the clip."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tapemill.core.errors import InputError, OnSceneFailure, SceneError, ToolFailed, TransientError
from tapemill.core.job_warnings import CUT_WITH_TAG, STANDS_IN_TAG, JobWarning
from tapemill.core.progress import Progress, report
from tapemill.devices.device import Device
from tapemill.devices.ipex import extension_version
from tapemill.enhance.filters.graph import SceneGraphInput, after_networks, before_networks, filter_chain
from tapemill.media import ffmpeg
from tapemill.media.capture_info import VideoInfo
from tapemill.media.ffmpeg import version
from tapemill.media.ffmpeg.command import redact_paths
from tapemill.media.ffmpeg.limits import max_output_bytes
from tapemill.media.field_holes import HOLES_TAG, Hole, holes_from_tag
from tapemill.media.film.cadence import SceneFilm
from tapemill.media.probe import open_media
from tapemill.records.clip import ClipRecord, CutRecord, NetworkRun
from tapemill.records.common import Failure
from tapemill.storage import atomic, fingerprint

from .encoders import ENCODERS, argument_labels, chosen_encoder, device_arguments, encoder_arguments
from .field_order import SceneFieldOrder, detect_scene_field_order
from .film import Film, detect_film
from .output_format import OutputFormat, plan_output_format
from .settings import EnhanceSettings
from .verify import ClipReport, verify_clip

LOG = logging.getLogger("tapemill.enhance")

# A twentieth of the speed of the slowest software encoder on one core, and time for a slow disk to start.
SAMPLES_PER_S = 100_000
START_S = 120.0
# The largest networks take a minute for a frame on a CPU. The time limit of the whole job is separate.
NETWORK_S = 300.0
# Packages that run networks.
NETWORK_PACKAGES: Final = ("numpy", "spandrel", "torch", "torchvision")

# Chain without filters and networks: the fixed steps deinterlace, crop and resize.
PASSTHROUGH_CHAIN: Final = ({"filter": "resize", "own": {}},)


@dataclass(frozen=True)
class _Job:
    """Arguments of `enhance_scene`, resolved."""

    clip: Path
    target: Path
    picture: VideoInfo
    frames: int
    settings: EnhanceSettings
    output: OutputFormat
    encoder: str
    device: Device
    film: SceneFilm | None


@dataclass(frozen=True)
class _Processing:
    """Entries of the record on filters, networks and commands."""

    filters: tuple[str, ...]
    commands: tuple[str, ...]
    programs: Mapping[str, str]
    filters_after: tuple[str, ...] | None = None
    networks: tuple[NetworkRun, ...] = ()


def enhance_scene(
    *,
    clip: Path,
    target: Path,
    record: Path,
    picture: VideoInfo,
    frames: int,
    settings: EnhanceSettings,
    device: Device,
    output: OutputFormat | None = None,
    encoder_choice: Path | None = None,
    on_failure: OnSceneFailure = "stop",
    film: SceneFilm | None = None,
) -> list[JobWarning]:
    """Restore a cut scene: `clip` (lossless, `frames` frames) becomes `target` (Matroska, video only).

    `record` (JSON) gets how it was made: encoder, detected field order, filters, networks, frames, geometry, commands
    and versions of programs, of the cut too; no times and paths. `output` is the format of all clips of the tape, if
    the scene's own settings would give another. `encoder_choice` is the file that `choose_encoder` wrote for the tape;
    only hardware encoders need one. They encode on `device`. `film` is given if the tape is film as a whole; `frames`
    is then the length of the cut. With `on_failure` "keep_original" a scene that cannot be restored is only
    deinterlaced and converted to the output format; the record has the reason.

    Returns a warning for each deviation from the request. Raises ConfigError for settings that do not fit this video,
    ToolFailed or ToolKilled if ffmpeg fails, TransientError if the tape's hardware encoder fails, GateError if the clip
    fails verification.
    """
    name = chosen_encoder(encoder_choice, settings)
    output = output or plan_output_format(picture, settings, film.rate if film else None)
    job = _Job(clip, target, picture, frames, settings, output, name, device, film)
    try:
        made = _restore(job, _scene_field_order(job))
    except SceneError as error:
        if on_failure == "stop":
            raise
        made = _passthrough_fallback(job, error)
    report(f"{made.frames_out} frames", frames=made.frames_out, model=[network.model for network in made.networks])
    made = replace(_with_cut_tags(made, clip), sha256=fingerprint.sha256(target))
    atomic.write_json(record, made.to_plain())
    # Substituted frames are reported by the job that cut the scene.
    return [each for each in made.warnings() if each.kind != "stands_in"]


def _restore(job: _Job, field_order: SceneFieldOrder) -> ClipRecord:
    """Write and verify the clip; returns its record."""
    if field_order.own:
        LOG.warning(
            "the field order of this scene is %s, that of the tape is %s",
            field_order.field_order,
            job.picture.field_order,
        )
    holes: tuple[Hole, ...] = ()
    film: Film | None
    # What ffmpeg cannot read either, it describes better.
    with suppress(InputError):
        holes = holes_from_tag(_cut_tag(job.clip, HOLES_TAG))
    if job.film:
        # Its cadence was found with the frames that fill the holes.
        holes = ()
        film = Film.of_tape(job.film)
    else:
        # A held field is of no film frame.
        film = None if holes else _film(job, field_order)
    scene = SceneGraphInput.of(job.picture, field_order.field_order, job.settings, job.output, holes, film)
    with atomic.staged(job.target) as partial:
        with _one_encoder(job.encoder, job.clip):
            processing = _process(job.clip, partial, scene, job.frames, job.encoder, job.device)
        checked = verify_clip(partial, target=job.target, clip=job.clip, scene=scene, frames=job.frames)
    return _record(job, scene, field_order, processing, checked)


def _passthrough_fallback(job: _Job, error: SceneError) -> ClipRecord:
    """Write the clip without restoration, deinterlaced like the tape. Raises SceneError with both reasons."""
    LOG.warning("the scene cannot be restored and stays as the original: %s: %s", type(error).__name__, error)
    plain = replace(job, settings=replace(job.settings, chain=PASSTHROUGH_CHAIN))
    try:
        # Verified like any clip: an encoder that only makes black frames must not make a black tape.
        made = _restore(plain, _tape_field_order(job))
    except SceneError as second:
        raise SceneError(
            f"{error.what}; the original could not be kept either: {second.what}",
            file=second.file,
            tool=second.tool,
            tool_exit_code=second.tool_exit_code,
            stderr_tail=second.stderr_tail,
            remedy=second.remedy or error.remedy,
        ) from error
    return replace(made, kept_original=Failure(type(error).__name__, error.what))


def _with_cut_tags(record: ClipRecord, clip: Path) -> ClipRecord:
    """Add the entries from the tags of the cut: substituted frames, and how it was made."""
    damage, cut_with = _cut_tag(clip, STANDS_IN_TAG), _cut_tag(clip, CUT_WITH_TAG)
    # A cut by an older version does not have the second tag.
    made_by = CutRecord.from_plain(json.loads(cut_with)) if cut_with else None
    return replace(record, stands_in=damage or None, cut_with=made_by)


def _cut_tag(clip: Path, name: str) -> str | None:
    with open_media(clip) as container:
        return container.metadata.get(name)


def _scene_field_order(job: _Job) -> SceneFieldOrder:
    if job.film or job.settings.deinterlace == "off" or not job.settings.field_order_by_scene:
        return _tape_field_order(job)
    return detect_scene_field_order(job.clip, frames=job.frames, rate=job.picture.rate, tape=job.picture.field_order)


def _tape_field_order(job: _Job) -> SceneFieldOrder:
    order = job.film.field_order if job.film else job.picture.field_order
    return SceneFieldOrder(field_order=order, own=False, seen={})


def _film(job: _Job, field_order: SceneFieldOrder) -> Film | None:
    """Find film in a scene whose samples suggest it."""
    order = field_order.field_order
    if order == "progressive" or not field_order.may_be_film:
        return None
    film = detect_film(job.clip, field_order=order)
    if film:
        LOG.info("this scene is film (%s, confidence %.2f): its fields are woven", film.pattern, film.confidence)
    return film


def _process(
    clip: Path, partial: Path, scene: SceneGraphInput, frames: int, encoder: str, device: Device
) -> _Processing:
    """Filter, run networks and encode."""
    device_args = device_arguments(encoder, device)
    encoding = encoder_arguments(encoder, scene.output, scene.settings)
    timeout_s = _timeout_s(scene, frames)
    if scene.chain.networks:
        # Imported here because it imports torch.
        from tapemill.enhance.networks.pipeline import restore

        networks, commands = restore(
            *(clip, partial, scene),
            frames=frames,
            encoding=encoding,
            device=device,
            device_arguments=device_args,
            timeout_s=timeout_s,
            max_output_bytes=_max_bytes(scene, frames),
        )
        before, after = tuple(before_networks(scene)), tuple(after_networks(scene))
        programs = {**_programs(*NETWORK_PACKAGES), **extension_version(device)}
        return _Processing(before, commands, programs, after, networks)
    chain = filter_chain(scene)
    arguments = [
        *device_args,
        # The rate is given because encoders count time in units of it, and the rate in the file may be rounded.
        *ffmpeg.input_args(clip, options=("-threads", "1", "-r", str(scene.picture.rate))),
        *("-map", "0:v:0", "-map_chapters", "-1", "-filter_threads", "1", "-vf", ",".join(chain)),
        *("-fps_mode", "passthrough", *encoding, *ffmpeg.output_args(partial, "matroska")),
    ]
    ffmpeg.run(
        arguments,
        concerns=clip,
        timeout_s=timeout_s,
        max_output_bytes=_max_bytes(scene, frames),
        forbidden=ffmpeg.CUT_DAMAGE,
        reached=Progress(scene.frames_out(frames)).reach,
    )
    command = redact_paths(arguments, argument_labels(clip, partial, device_args))
    return _Processing(tuple(chain), (command,), _programs())


def _programs(*packages: str) -> dict[str, str]:
    return version.tool_versions(*packages, with_ffmpeg=True)


@contextmanager
def _one_encoder(encoder: str, clip: Path) -> Iterator[None]:
    """Turn failures of a hardware encoder into transient errors: a clip of another encoder would not join."""
    try:
        yield
    except ToolFailed as error:
        if ENCODERS[encoder].software is None:
            raise
        raise TransientError(
            f"{encoder}, which was chosen for all clips of this tape, failed",
            file=clip,
            tool="ffmpeg",
            tool_exit_code=error.tool_exit_code,
            stderr_tail=error.stderr_tail,
            remedy=f"run again; if it fails again, set enhance: encoder: {ENCODERS[encoder].software}",
        ) from error


def _timeout_s(scene: SceneGraphInput, frames: int) -> float:
    """Time limit of ffmpeg in seconds, including its wait for networks."""
    samples = max(scene.picture.width * scene.picture.height, scene.output.width * scene.output.height)
    # Without film, each field passes the filters.
    frames_out = max(frames, scene.frames_out(frames))
    return START_S + frames_out * (samples / SAMPLES_PER_S + NETWORK_S * len(scene.chain.networks))


def _max_bytes(scene: SceneGraphInput, frames: int) -> int:
    output = scene.output
    return max_output_bytes(pictures=scene.frames_out(frames), samples=output.width * output.height)


def _record(
    job: _Job, scene: SceneGraphInput, field_order: SceneFieldOrder, processing: _Processing, checked: ClipReport
) -> ClipRecord:
    output = scene.output
    return ClipRecord(
        encoder=job.encoder,
        encoder_asked=scene.settings.encoder,
        field_order=field_order.field_order,
        field_order_differs=field_order.own,
        field_orders_seen=field_order.seen,
        frames_in=job.frames,
        frames_out=checked.frames,
        crop=scene.crop,
        width=output.width,
        height=output.height,
        rate=output.rate,
        pixel_format=output.pixel_format,
        colour=output.colour,
        filters=processing.filters,
        commands=processing.commands,
        codec_private_sha256=checked.codec_private_sha256,
        likeness=tuple(round(value, 4) for value in checked.similarity),
        programs=processing.programs,
        filters_after=processing.filters_after,
        networks=processing.networks,
        film=scene.film.record if scene.film else None,
    )

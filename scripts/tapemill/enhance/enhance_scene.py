"""Enhance one scene: detect its field order, run the chain, verify the clip."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import OnSceneFailure, SceneError, ToolFailed, TransientError
from tapemill.core.job_warnings import CUT_WITH_TAG, STANDS_IN_TAG, JobWarning, clip_warnings
from tapemill.core.progress import Progress, report
from tapemill.core.timing import format_fraction
from tapemill.devices.device import Device
from tapemill.devices.ipex import extension_version
from tapemill.enhance.filters.graph import SceneGraphInput, after_networks, before_networks, filter_chain
from tapemill.media import ffmpeg
from tapemill.media.capture_info import VideoInfo
from tapemill.media.ffmpeg import version
from tapemill.media.ffmpeg.command import redact_paths
from tapemill.media.ffmpeg.limits import max_output_bytes
from tapemill.media.probe import open_media
from tapemill.storage import atomic

from .encoders import ENCODERS, argument_labels, chosen_encoder, device_arguments, encoder_arguments
from .field_order import SceneFieldOrder, detect_scene_field_order
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
) -> list[JobWarning]:
    """Restore a cut scene: `clip` (lossless, `frames` frames) becomes `target` (Matroska, video only).

    `record` (JSON) gets how it was made: encoder, detected field order, filters, networks, frames, geometry, commands
    and versions of programs, of the cut too; no times and paths. `output` is the format of all clips of the tape, if
    the scene's own settings would give another. `encoder_choice` is the file that `choose_encoder` wrote for the tape;
    only hardware encoders need one. They encode on `device`. With `on_failure` "keep_original" a scene that cannot be
    restored is only deinterlaced and converted to the output format; the record has the reason.

    Returns a warning for each deviation from the request. Raises ConfigError for settings that do not fit this video,
    ToolFailed or ToolKilled if ffmpeg fails, TransientError if the tape's hardware encoder fails, GateError if the clip
    fails verification.
    """
    name = chosen_encoder(encoder_choice, settings)
    job = _Job(clip, target, picture, frames, settings, output or plan_output_format(picture, settings), name, device)
    try:
        facts = _restore(job, _scene_field_order(job))
    except SceneError as error:
        if on_failure == "stop":
            raise
        facts = _passthrough_fallback(job, error)
    report(
        f"{facts['frames_out']} frames",
        frames=facts["frames_out"],
        model=[network["model"] for network in facts.get("networks", ())],
    )
    facts |= _read_cut_tags(clip)
    atomic.write_json(record, {"encoder": name, "frames_in": frames, **facts})
    # Substituted frames are reported by the job that cut the scene.
    return [each for each in clip_warnings(facts) if each.kind != "stands_in"]


def _restore(job: _Job, field_order: SceneFieldOrder) -> dict[str, Any]:
    """Write and verify the clip; returns its entries of the record."""
    if field_order.own:
        LOG.warning(
            "the field order of this scene is %s, that of the tape is %s",
            field_order.field_order,
            job.picture.field_order,
        )
    scene = SceneGraphInput.of(job.picture, field_order.field_order, job.settings, job.output)
    with atomic.staged(job.target) as partial:
        with _one_encoder(job.encoder, job.clip):
            made_by = _process(job.clip, partial, scene, job.frames, job.encoder, job.device)
        checked = verify_clip(partial, target=job.target, clip=job.clip, scene=scene, frames=job.frames)
    return {**made_by, **_facts(scene, field_order, checked)}


def _passthrough_fallback(job: _Job, error: SceneError) -> dict[str, Any]:
    """Write the clip without restoration, deinterlaced like the tape. Raises SceneError with both reasons."""
    LOG.warning("the scene cannot be restored and stays as the original: %s: %s", type(error).__name__, error)
    plain = replace(job, settings=replace(job.settings, chain=PASSTHROUGH_CHAIN))
    try:
        # Verified like any clip: an encoder that only makes black frames must not make a black tape.
        facts = _restore(plain, _tape_field_order(job))
    except SceneError as second:
        raise SceneError(
            f"{error.what}; the original could not be kept either: {second.what}",
            file=second.file,
            tool=second.tool,
            tool_exit_code=second.tool_exit_code,
            stderr_tail=second.stderr_tail,
            remedy=second.remedy or error.remedy,
        ) from error
    return {**facts, "kept_original": {"error": type(error).__name__, "message": error.what}}


def _read_cut_tags(clip: Path) -> dict[str, Any]:
    """Entries of the record from the tags of the cut: substituted frames, and how it was made."""
    with open_media(clip) as container:
        damage, cut_with = (container.metadata.get(tag) for tag in (STANDS_IN_TAG, CUT_WITH_TAG))
    tags: dict[str, Any] = {"stands_in": damage} if damage else {}
    # A cut by an older version has no such tag.
    return tags | ({"cut_with": json.loads(cut_with)} if cut_with else {})


def _scene_field_order(job: _Job) -> SceneFieldOrder:
    if job.settings.deinterlace == "off" or not job.settings.field_order_by_scene:
        return _tape_field_order(job)
    return detect_scene_field_order(job.clip, frames=job.frames, rate=job.picture.rate, tape=job.picture.field_order)


def _tape_field_order(job: _Job) -> SceneFieldOrder:
    return SceneFieldOrder(field_order=job.picture.field_order, own=False, seen={})


def _process(
    clip: Path, partial: Path, scene: SceneGraphInput, frames: int, encoder: str, device: Device
) -> dict[str, object]:
    """Filter, run networks and encode; returns the entries of the record on filters, networks and commands."""
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
        programs = {**_programs(*NETWORK_PACKAGES), **extension_version(device)}
        filters = {"filters": before_networks(scene), "filters_after": after_networks(scene)}
        return {**filters, "networks": networks, "commands": commands, "programs": programs}
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
        reached=Progress(frames * scene.output.frames_per_frame).reach,
    )
    commands = [redact_paths(arguments, argument_labels(clip, partial, device_args))]
    return {"filters": chain, "commands": commands, "programs": _programs()}


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
    frames_out = frames * scene.output.frames_per_frame
    return START_S + frames_out * (samples / SAMPLES_PER_S + NETWORK_S * len(scene.chain.networks))


def _max_bytes(scene: SceneGraphInput, frames: int) -> int:
    output = scene.output
    return max_output_bytes(pictures=frames * output.frames_per_frame, samples=output.width * output.height)


def _facts(scene: SceneGraphInput, field_order: SceneFieldOrder, checked: ClipReport) -> dict[str, object]:
    output = scene.output
    return {
        "encoder_asked": scene.settings.encoder,
        "field_order": field_order.field_order,
        "field_order_differs": field_order.own,
        "field_orders_seen": dict(field_order.seen),
        "frames_out": checked.frames,
        "crop": asdict(scene.crop),
        "width": output.width,
        "height": output.height,
        "rate": format_fraction(output.rate),
        "pixel_format": output.pixel_format,
        "colour": asdict(output.colour),
        "codec_private_sha256": checked.codec_private_sha256,
        "likeness": [round(value, 4) for value in checked.similarity],
    }

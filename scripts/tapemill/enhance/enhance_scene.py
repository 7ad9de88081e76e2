"""Enhance one scene: one look at its fields, the chain, one gate."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tapemill.core.errors import OnSceneFailure, SceneError, ToolFailed, TransientError
from tapemill.core.job_warnings import CUT_WITH_TAG, STANDS_IN_TAG, JobWarning
from tapemill.core.progress import Progress, report
from tapemill.core.timing import format_fraction
from tapemill.devices.device import Device
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

# A twentieth of the speed of the slowest software encoder on one core, and time for a slow disk to wake up.
SAMPLES_PER_S = 100_000
START_S = 120.0
# The largest networks take a minute for a picture on a processor; the job's own limit is another matter.
NETWORK_S = 300.0


# What networks are computed with.
RESTORERS: Final = ("numpy", "spandrel", "torch", "torchvision")

# Without filters and networks: the frame of the graph alone deinterlaces, crops and resizes.
PLAINEST: Final = ({"filter": "resize", "own": {}},)


@dataclass(frozen=True)
class _Job:
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
    """Restore a cut scene: `clip` (lossless, `frames` frames) becomes `target` (Matroska, picture only).

    `record` (JSON) says how: the encoder, the field order found, filters, networks, frames and geometry, the commands
    and versions of programs, of the cut too; no times and places. `output` is
    what all clips of the tape are, where the scene's own settings would make something else. `encoder_choice` is
    the file that `choose_encoder` wrote for the tape; only hardware encoders need one. They encode on `device`.
    With `on_failure` "keep_original" a scene that cannot be restored is merely deinterlaced and brought to the tape's
    shape; the record says why. Returns what differs from what was asked. Raises ConfigError for settings that cannot
    serve this picture, ToolFailed or ToolKilled if ffmpeg fails, TransientError if the tape's hardware encoder fails,
    GateError if the clip is not what it has to be.
    """
    name = chosen_encoder(encoder_choice, settings)
    job = _Job(clip, target, picture, frames, settings, output or plan_output_format(picture, settings), name, device)
    try:
        facts = _enhanced(job, _cadence(job))
    except SceneError as error:
        if on_failure == "stop":
            raise
        facts = _kept(job, error)
    report(
        f"{facts['frames_out']} frames",
        frames=facts["frames_out"],
        model=[network["model"] for network in facts.get("networks", ())],
    )
    facts |= _told_by_the_cut(clip)
    atomic.write_json(record, {"encoder": name, "frames_in": frames, **facts})
    return list(_notices(facts))


def _enhanced(job: _Job, cadence: SceneFieldOrder) -> dict[str, Any]:
    """Write the clip; returns what the record says of it."""
    if cadence.own:
        LOG.warning("fields of this scene are %s, the tape's are %s", cadence.field_order, job.picture.field_order)
    scene = SceneGraphInput.of(job.picture, cadence.field_order, job.settings, job.output)
    with atomic.staged(job.target) as partial:
        with _one_encoder(job.encoder, job.clip):
            how = _made(job.clip, partial, scene, job.frames, job.encoder, job.device)
        passed = verify_clip(partial, target=job.target, clip=job.clip, scene=scene, frames=job.frames)
    return {**how, **_facts(scene, cadence, passed)}


def _kept(job: _Job, error: SceneError) -> dict[str, Any]:
    """The scene as it is, only deinterlaced as the tape is. Raises SceneError with both reasons if that fails too."""
    LOG.warning("the scene cannot be restored and is kept as it is: %s: %s", type(error).__name__, error)
    plain = replace(job, settings=replace(job.settings, chain=PLAINEST))
    try:
        # It has to pass the same gate: an encoder that makes black of everything must not make a black tape.
        facts = _enhanced(plain, _of_the_tape(job))
    except SceneError as second:
        raise SceneError(
            f"{error.what}; nor can the scene be kept as it is: {second.what}",
            file=second.file,
            tool=second.tool,
            tool_exit_code=second.tool_exit_code,
            stderr_tail=second.stderr_tail,
            remedy=second.remedy or error.remedy,
        ) from error
    return {**facts, "kept_original": {"error": type(error).__name__, "message": error.what}}


def _told_by_the_cut(clip: Path) -> dict[str, Any]:
    """What the cut says of pictures that stand in for damaged ones, and of how it was made."""
    with open_media(clip) as container:
        damage, cut_with = (container.metadata.get(tag) for tag in (STANDS_IN_TAG, CUT_WITH_TAG))
    found: dict[str, Any] = {"stands_in": damage} if damage else {}
    # A cut that was kept from before this tag was written has none.
    return found | ({"cut_with": json.loads(cut_with)} if cut_with else {})


def _notices(facts: Mapping[str, Any]) -> Iterator[JobWarning]:
    if "kept_original" in facts:
        yield JobWarning("kept", "{error}: {message}".format(**facts["kept_original"]))
    for network in facts.get("networks", ()):
        if network.get("lowered"):
            yield JobWarning("lowered", f"{network['model']} saw smaller tiles or fewer frames")


def _cadence(job: _Job) -> SceneFieldOrder:
    if job.settings.deinterlace == "off" or not job.settings.field_order_by_scene:
        return _of_the_tape(job)
    return detect_scene_field_order(job.clip, frames=job.frames, rate=job.picture.rate, tape=job.picture.field_order)


def _of_the_tape(job: _Job) -> SceneFieldOrder:
    return SceneFieldOrder(field_order=job.picture.field_order, own=False, seen={})


def _made(
    clip: Path, partial: Path, scene: SceneGraphInput, frames: int, encoder: str, device: Device
) -> dict[str, object]:
    """Filter, restore and encode; returns what the record says of the filters and networks."""
    on_card = device_arguments(encoder, device)
    encoding = encoder_arguments(encoder, scene.output, scene.settings)
    timeout_s = _limit_s(scene, frames)
    if scene.chain.networks:
        # Only here: it needs torch.
        from tapemill.enhance.networks.pipeline import restore

        networks, commands = restore(
            *(clip, partial, scene),
            frames=frames,
            encoding=encoding,
            device=device,
            device_arguments=on_card,
            timeout_s=timeout_s,
            most_bytes=_most_bytes(scene, frames),
        )
        filters = {"filters": before_networks(scene), "filters_after": after_networks(scene)}
        return {**filters, "networks": networks, "commands": commands, "programs": _programs(*RESTORERS)}
    chain = filter_chain(scene)
    arguments = [
        *on_card,
        # The rate is stated because encoders count time in units of it, and a file's own claim may be rounded.
        *ffmpeg.input_args(clip, options=("-threads", "1", "-r", str(scene.picture.rate))),
        *("-map", "0:v:0", "-map_chapters", "-1", "-filter_threads", "1", "-vf", ",".join(chain)),
        *("-fps_mode", "passthrough", *encoding, *ffmpeg.output_args(partial, "matroska")),
    ]
    ffmpeg.run(
        arguments,
        concerns=clip,
        timeout_s=timeout_s,
        max_output_bytes=_most_bytes(scene, frames),
        forbidden=ffmpeg.CUT_DAMAGE,
        reached=Progress(frames * scene.output.frames_per_frame).reach,
    )
    commands = [redact_paths(arguments, argument_labels(clip, partial, on_card))]
    return {"filters": chain, "commands": commands, "programs": _programs()}


def _programs(*packages: str) -> dict[str, str]:
    return version.tool_versions(*packages, with_ffmpeg=True)


@contextmanager
def _one_encoder(encoder: str, clip: Path) -> Iterator[None]:
    """A hardware encoder that fails may do better the next time. A clip by another encoder would not join."""
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
            remedy=f"try again; if it stays so, set enhance: encoder: {ENCODERS[encoder].software}",
        ) from error


def _limit_s(scene: SceneGraphInput, frames: int) -> float:
    """Seconds after which ffmpeg hangs rather than works, or rather than waits for a network."""
    samples = max(scene.picture.width * scene.picture.height, scene.output.width * scene.output.height)
    pictures = frames * scene.output.frames_per_frame
    return START_S + pictures * (samples / SAMPLES_PER_S + NETWORK_S * len(scene.chain.networks))


def _most_bytes(scene: SceneGraphInput, frames: int) -> int:
    output = scene.output
    return max_output_bytes(pictures=frames * output.frames_per_frame, samples=output.width * output.height)


def _facts(scene: SceneGraphInput, cadence: SceneFieldOrder, passed: ClipReport) -> dict[str, object]:
    output = scene.output
    return {
        "encoder_asked": scene.settings.encoder,
        "field_order": cadence.field_order,
        "field_order_differs": cadence.own,
        "field_orders_seen": dict(cadence.seen),
        "frames_out": passed.frames,
        "crop": asdict(scene.crop),
        "width": output.width,
        "height": output.height,
        "rate": format_fraction(output.rate),
        "pixel_format": output.pixel_format,
        "colour": asdict(output.colour),
        "codec_private_sha256": passed.codec_private_sha256,
        "likeness": [round(value, 4) for value in passed.likeness],
    }

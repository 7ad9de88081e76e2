"""Enhance one scene: one look at its fields, one ffmpeg process, one gate."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from .. import ffmpeg, files
from ..device import Device
from ..errors import ToolFailed, TransientError
from ..facts import PictureFacts
from ..timing import format_fraction
from .cadence import Cadence, scene_cadence
from .encoders import ENCODERS, chosen_encoder, device_arguments, encoder_arguments
from .filters import Scene, filter_chain
from .gate import Passed, check_clip
from .settings import EnhanceSettings

LOG = logging.getLogger("tapemill.enhance")

# A twentieth of the speed of the slowest software encoder on one core, and time for a slow disk to wake up.
SAMPLES_PER_S = 100_000
START_S = 120.0


def enhance_scene(
    *,
    clip: Path,
    target: Path,
    record: Path,
    picture: PictureFacts,
    frames: int,
    settings: EnhanceSettings,
    device: Device,
    encoder_choice: Path | None = None,
) -> None:
    """Restore a cut scene: `clip` (lossless, `frames` frames) becomes `target` (Matroska, picture only).

    `record` (JSON) says how: the encoder, the field order found, the filters, frames and geometry. `encoder_choice` is
    the file that `choose_encoder` wrote for the tape; only hardware encoders need one. They encode on `device`.
    Raises ConfigError for settings that cannot serve this picture, ToolFailed or ToolKilled if ffmpeg fails,
    TransientError if the tape's hardware encoder fails, GateError if the clip is not what it has to be.
    """
    cadence = _cadence(clip, picture, frames, settings)
    if cadence.own:
        LOG.warning("fields of this scene are %s, the tape's are %s", cadence.field_order, picture.field_order)
    scene = Scene.of(picture, cadence.field_order, settings)
    name = chosen_encoder(encoder_choice, settings)
    chain = filter_chain(scene)
    with files.staged(target) as partial:
        _run(clip, partial, chain, name, scene, device, timeout_s=_expected_s(scene, frames))
        passed = check_clip(partial, target=target, clip=clip, scene=scene, frames=frames)
    files.write_json(record, {"encoder": name, "filters": chain, "frames_in": frames, **_facts(scene, cadence, passed)})


def _cadence(clip: Path, picture: PictureFacts, frames: int, settings: EnhanceSettings) -> Cadence:
    if settings.deinterlace == "off" or not settings.field_order_by_scene:
        return Cadence(field_order=picture.field_order, own=False, seen={})
    return scene_cadence(clip, frames=frames, rate=picture.rate, tape=picture.field_order)


def _run(
    clip: Path, partial: Path, chain: list[str], encoder: str, scene: Scene, device: Device, *, timeout_s: float
) -> None:
    arguments = [
        *device_arguments(encoder, device),
        # The rate is stated because encoders count time in units of it, and a file's own claim may be rounded.
        *ffmpeg.source(clip, options=("-threads", "1", "-r", str(scene.picture.rate))),
        *("-map", "0:v:0", "-map_chapters", "-1", "-filter_threads", "1", "-vf", ",".join(chain)),
        *("-fps_mode", "passthrough", *encoder_arguments(encoder, scene.output, scene.settings)),
        *ffmpeg.target(partial, "matroska"),
    ]
    try:
        ffmpeg.run(arguments, concerns=clip, timeout_s=timeout_s)
    except ToolFailed as error:
        if ENCODERS[encoder].software is None:
            raise
        # It worked when it was chosen for the tape. A clip by another encoder would not join.
        raise TransientError(
            f"{encoder}, which was chosen for all clips of this tape, failed",
            file=clip,
            tool="ffmpeg",
            tool_exit_code=error.tool_exit_code,
            stderr_tail=error.stderr_tail,
            remedy=f"try again; if it stays so, set enhance: encoder: {ENCODERS[encoder].software}",
        ) from error


def _expected_s(scene: Scene, frames: int) -> float:
    """Seconds after which ffmpeg hangs rather than works."""
    samples = max(scene.picture.width * scene.picture.height, scene.output.width * scene.output.height)
    return START_S + frames * scene.output.frames_per_frame * samples / SAMPLES_PER_S


def _facts(scene: Scene, cadence: Cadence, passed: Passed) -> dict[str, object]:
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

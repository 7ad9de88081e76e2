"""Verification of a finished clip: number, times and format of its frames, and their similarity to the scene."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av import VideoFrame

from tapemill.core.errors import GateError
from tapemill.enhance.filters.graph import SceneGraphInput
from tapemill.media.colour import MATRICES, RANGES, Colour
from tapemill.media.output_checks import MIN_SPREAD, open_output, thumbnail, verifying
from tapemill.media.packets import scan_packets
from tapemill.media.probe import open_media, probe

from .output_format import OutputFormat, is_rgb, source_colour

# Restored frames reach 0.97 and above; a wrong or damaged one is near 0.
MIN_SIMILARITY = 0.5
ENCODER_REMEDY = "try another encoder (enhance: encoder)"
REMEDY = f"delete the clip and run again; if it fails again, {ENCODER_REMEDY}"


@dataclass(frozen=True)
class ClipReport:
    """Properties of a verified clip."""

    frames: int
    codec_private_sha256: str
    """Of the codec's parameters; equal for all clips of a tape, or they do not join."""
    similarity: tuple[float, ...]
    """Correlation of the clip's key frames with the scene's at the same time, of those with enough contrast."""


def verify_clip(partial: Path, *, target: Path, clip: Path, scene: SceneGraphInput, frames: int) -> ClipReport:
    """Verify the clip in `partial` against the scene in `clip`. Raises GateError, naming `target`."""
    output = scene.output
    expected = scene.frames_out(frames)
    with verifying(partial, target=target):
        found = probe(partial).picture
        times = scan_packets(partial, found.stream_index).times
    facts: Mapping[str, tuple[object, object]] = {
        "width": (found.width, output.width),
        "height": (found.height, output.height),
        "pixel format": (found.pixel_format, output.pixel_format),
        "pixel aspect": (found.sample_aspect_ratio or Fraction(1), Fraction(1)),
        "colour": (found.colour, output.colour),
    }
    for name, (found_value, expected_value) in facts.items():
        if found_value != expected_value:
            raise GateError(
                f"the clip's {name} is {found_value}, not {expected_value}",
                file=target,
                remedy=ENCODER_REMEDY,
            )
    if len(times) != expected:
        raise GateError(f"the clip has {len(times)} frames, not {expected}", file=target, remedy=_scene_remedy(clip))
    _check_times(times, found.time_base, output, target)
    similarity = tuple(_similarity(partial, clip, scene))
    # One matching key frame is enough: a flash in a single field is no error of the clip.
    if similarity and max(similarity) < MIN_SIMILARITY:
        raise GateError(
            f"the clip does not show what its scene shows (similarity {max(similarity):.2f})",
            file=target,
            remedy="compare both; the cause may be the driver of a hardware encoder: try enhance: encoder: libx264",
        )
    return ClipReport(frames=expected, codec_private_sha256=codec_private_sha256(partial), similarity=similarity)


def codec_private_sha256(path: Path) -> str:
    """SHA-256 of a clip's codec parameters ("extradata")."""
    with open_media(path) as container:
        return hashlib.sha256(container.streams.video[0].codec_context.extradata or b"").hexdigest()


def _check_times(times: np.ndarray, time_base: Fraction, output: OutputFormat, target: Path) -> None:
    """Check that each frame is at its time, within the container's rounding."""
    step = 1 / (output.rate * time_base)
    exact = times[0] + np.arange(len(times)) * float(step)
    worst = float(np.abs(times - exact).max())
    if times[0] != 0 or worst > 1.0:
        raise GateError(
            f"the clip's frames are off their times by up to {worst * float(time_base):.4f} s",
            file=target,
            remedy=ENCODER_REMEDY,
        )


def _similarity(partial: Path, clip: Path, scene: SceneGraphInput) -> Iterator[float]:
    """Similarity of the first and last key frame to the scene's frames of the same number; none with a border."""
    output = scene.output
    if (output.restored_width, output.restored_height) != (output.width, output.height):
        return
    for last in (False, True):
        restored, time = _key_frame(partial, last=last)
        number = scene.source_frame(round(time * scene.output.rate))
        original, _ = _key_frame(clip, at=number / scene.picture.rate)
        if not is_rgb(scene.picture.pixel_format):
            _tag(original, source_colour(scene.picture))
        crop = scene.crop
        after, before = thumbnail(restored), thumbnail(original, (crop.left, crop.top, crop.width, crop.height))
        if after is None or before is None or before.std() < MIN_SPREAD:
            continue
        yield float(np.corrcoef(after.ravel(), before.ravel())[0, 1]) if after.std() > 0 else 0.0


def _key_frame(path: Path, *, last: bool = False, at: Fraction = Fraction(0)) -> tuple[VideoFrame, Fraction]:
    """A key frame and its time: the last one, or the one at or before `at` seconds."""
    with open_output(path, target=path, remedy=REMEDY) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1, 1000)
        if last:
            container.seek(1 << 40, stream=stream, backward=True)
        elif at:
            # One more, because rounding in the container must not lead to the frame before.
            container.seek(int(at / base) + 1, stream=stream, backward=True)
        for frame in container.decode(stream):
            return frame, (frame.pts or 0) * base
    raise GateError(
        "the clip has no frame that can be decoded",
        file=path,
        tool="PyAV",
        remedy=REMEDY,
    )


def _tag(frame: VideoFrame, colour: Colour) -> None:
    """Set the colour that the filters assumed; the frame's own tags may not define its luma."""
    frame.colorspace = next(code for code, name in MATRICES.items() if name == colour.matrix)
    frame.color_range = next(code for code, name in RANGES.items() if name == colour.range)


def _scene_remedy(clip: Path) -> str:
    return f"delete {clip.name} of the scenes and this clip, and run again; if it fails again, the capture is damaged"

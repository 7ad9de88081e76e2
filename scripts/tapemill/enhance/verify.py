"""Checks of a finished clip: every frame there, at its time, of the right shape, and a picture that is the scene's."""

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
from tapemill.media.probe import open_media, packet_times, probe

from .output_format import OutputFormat, is_rgb, source_colour

# Restored pictures are seen at 0.97 and above; another picture, or a damaged one, is near 0.
LEAST_LIKENESS = 0.5
ANOTHER_ENCODER = "try another encoder (enhance: encoder)"
AGAIN = f"delete the clip and run again; if it fails again, {ANOTHER_ENCODER}"


@dataclass(frozen=True)
class ClipReport:
    """What the gate found out on its way."""

    frames: int
    codec_private_sha256: str
    """Hash of the codec's parameters; equal for all clips of a tape, or they do not join."""
    likeness: tuple[float, ...]
    """Correlation of the clip's key frames with the scene's at the same time, where there was contrast to compare."""


def verify_clip(partial: Path, *, target: Path, clip: Path, scene: SceneGraphInput, frames: int) -> ClipReport:
    """Raise GateError, naming `target`, if the clip in `partial` is not what the scene in `clip` has to become."""
    output = scene.output
    expected = frames * output.frames_per_frame
    with verifying(partial, target=target):
        found = probe(partial).picture
        times, _ = packet_times(partial, found.stream_index)
    facts: Mapping[str, tuple[object, object]] = {
        "width": (found.width, output.width),
        "height": (found.height, output.height),
        "pixel format": (found.pixel_format, output.pixel_format),
        "pixel aspect": (found.sample_aspect_ratio or Fraction(1), Fraction(1)),
        "colour": (found.colour, output.colour),
    }
    for name, (is_now, should_be) in facts.items():
        if is_now != should_be:
            raise GateError(
                f"the clip's {name} is {is_now}, not {should_be}",
                file=target,
                remedy=ANOTHER_ENCODER,
            )
    if len(times) != expected:
        raise GateError(f"the clip has {len(times)} frames, not {expected}", file=target, remedy=_remedy(clip))
    _check_times(times, found.time_base, output, target)
    likeness = tuple(_likeness(partial, clip, scene))
    # One key frame that agrees is enough: a flash in a single field is no fault of the clip.
    if likeness and max(likeness) < LEAST_LIKENESS:
        raise GateError(
            f"the clip does not show what its scene shows (likeness {max(likeness):.2f})",
            file=target,
            remedy="look at both; a hardware encoder's driver may be at fault: try enhance: encoder: libx264",
        )
    return ClipReport(frames=expected, codec_private_sha256=codec_private_sha256(partial), likeness=likeness)


def codec_private_sha256(path: Path) -> str:
    """Hash of a clip's codec parameters ("extradata")."""
    with open_media(path) as container:
        return hashlib.sha256(container.streams.video[0].codec_context.extradata or b"").hexdigest()


def _check_times(times: np.ndarray, time_base: Fraction, output: OutputFormat, target: Path) -> None:
    """Each frame within the container's rounding of its place."""
    step = 1 / (output.rate * time_base)
    exact = times[0] + np.arange(len(times)) * float(step)
    worst = float(np.abs(times - exact).max())
    if times[0] != 0 or worst > 1.0:
        raise GateError(
            f"the clip's frames are off their times by up to {worst * float(time_base):.4f} s",
            file=target,
            remedy=ANOTHER_ENCODER,
        )


def _likeness(partial: Path, clip: Path, scene: SceneGraphInput) -> Iterator[float]:
    """Compare the first and the last key frame with the scene's frames of the same number, unless there is a border."""
    output = scene.output
    if (output.restored_width, output.restored_height) != (output.width, output.height):
        return
    for last in (False, True):
        restored, time = _key_frame(partial, last=last)
        number = round(time * scene.output.rate) // scene.output.frames_per_frame
        original, _ = _key_frame(clip, at=number / scene.picture.rate)
        if not is_rgb(scene.picture.pixel_format):
            _tag(original, source_colour(scene.picture))
        kept = scene.crop
        ours, theirs = thumbnail(restored), thumbnail(original, (kept.left, kept.top, kept.width, kept.height))
        if ours is None or theirs is None or theirs.std() < MIN_SPREAD:
            continue
        yield float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]) if ours.std() > 0 else 0.0


def _key_frame(path: Path, *, last: bool = False, at: Fraction = Fraction(0)) -> tuple[VideoFrame, Fraction]:
    """A key frame and its time: the last one, or the one at or before `at` seconds."""
    with open_output(path, target=path, remedy=AGAIN) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(1, 1000)
        if last:
            container.seek(1 << 40, stream=stream, backward=True)
        elif at:
            # A container's rounding must not lead to the frame before.
            container.seek(int(at / base) + 1, stream=stream, backward=True)
        for frame in container.decode(stream):
            return frame, (frame.pts or 0) * base
    raise GateError(
        "the clip has no picture that can be decoded",
        file=path,
        tool="PyAV",
        remedy=AGAIN,
    )


def _tag(frame: VideoFrame, colour: Colour) -> None:
    """State what the filters took the frame's colour for; its tags may leave open what a grey picture of it is."""
    frame.colorspace = next(code for code, name in MATRICES.items() if name == colour.matrix)
    frame.color_range = next(code for code, name in RANGES.items() if name == colour.range)


def _remedy(clip: Path) -> str:
    return f"delete {clip.name} of the scenes and this clip, and run again; if it fails again, the capture is damaged"

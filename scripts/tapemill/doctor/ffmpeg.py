"""Checks of ffmpeg, its filters and its encoders, by short trial runs of what jobs use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tapemill.core.errors import ConfigError, SetupError, TapemillError, ToolFailed
from tapemill.devices.device import CPU, Device

from .config import setting
from .findings import CheckOptions, Finding, error, ok, warning

if TYPE_CHECKING:
    from tapemill.enhance import EnhanceSettings
    from tapemill.media.capture_info import VideoInfo

TIMEOUT_S: Final = 20.0
FRAMES: Final = 3
# The libraries that a run may use, of dozens in a build, and those that Quick Sync needs.
LIBRARIES: Final = (
    "libx264",
    "libx265",
    "libsvtav1",
    "libvpl",
    "libmfx",
    "libopus",
    "libsoxr",
    "libzimg",
    "libplacebo",
)
OWN_FFMPEG: Final = "leave the setting `ffmpeg` empty to use the one that was installed"
# Settings that switch on every filter: another ffmpeg may lack any of them.
ALL_FILTERS: Final[Mapping[str, Any]] = {
    "preset": "fast",
    "chain": None,
    "sharpen": 0.1,
    "grain_levels": 2,
    "chroma_shift_samples": -3,
    "chroma_shift_lines": -2,
}


def check_ffmpeg(options: CheckOptions) -> Iterator[Finding]:
    """Check the ffmpeg that jobs will use, and how it was built."""
    from tapemill.media import ffmpeg

    ffmpeg.set_binary(setting("ffmpeg"))
    program = Path(ffmpeg.binary())
    with ffmpeg.pipe_out(["-version"], concerns=program, timeout_s=TIMEOUT_S) as stream:
        lines = stream.read().decode("utf-8", "replace").splitlines()
    first = lines[0] if lines else ""
    if not first.startswith("ffmpeg version"):
        yield error("the program of the setting `ffmpeg` is not ffmpeg", OWN_FFMPEG, [("program", str(program))])
        return
    configuration = next((line for line in lines if line.startswith("configuration:")), "")
    libraries = [name for name in LIBRARIES if f"--enable-{name}" in configuration.split()]
    facts = [("program", str(program)), ("built with", ", ".join(libraries) or "none of those that a run uses")]
    yield ok(first.partition(" Copyright")[0], facts)


def check_filters(options: CheckOptions) -> Iterator[Finding]:
    """Check that ffmpeg has every filter of the chain, by filtering some frames of a tape."""
    from tapemill.enhance.film import Film
    from tapemill.enhance.filters.graph import SceneGraphInput, filter_chain
    from tapemill.media import ffmpeg
    from tapemill.media.field_holes import Hole

    ffmpeg.set_binary(setting("ffmpeg"))
    video = _tape_video()
    settings = _settings({**setting("enhance"), **ALL_FILTERS})
    film = Film("2:2", 1.0, with_previous=(False, True), single=(True, False))
    scene = SceneGraphInput.of(video, "tff", settings, holes=(Hole(1, 2, 0),), film=film)
    source = f"testsrc2=size={video.width}x{video.height}:rate={video.rate},format={video.pixel_format}"
    try:
        ffmpeg.run(
            [
                *("-f", "lavfi", "-i", source, "-frames:v", str(FRAMES)),
                *("-vf", ",".join(filter_chain(scene)), "-f", "null", "-"),
            ],
            concerns=Path(ffmpeg.binary()),
            timeout_s=TIMEOUT_S,
        )
    except ToolFailed as exc:
        yield Finding("error", "ffmpeg cannot run the filters of the chain", Finding.of(exc).facts, OWN_FFMPEG)
        return
    yield ok("ffmpeg runs all filters of the chain")


def check_encoders(options: CheckOptions) -> Iterator[Finding]:
    """Check each encoder by encoding some frames as clips are encoded; hardware encoders on each GPU."""
    from tapemill.enhance.encoders import ENCODERS
    from tapemill.media import ffmpeg

    ffmpeg.set_binary(setting("ffmpeg"))
    section = setting("enhance")
    wanted = section["encoder"]
    working, others = [], []
    for name, encoder in ENCODERS.items():
        own = section if name == wanted else {**section, "crf": None, "pixel_format": "auto"}
        why = _failure(name, {**own, "encoder": name})
        if why is None:
            working.append(name)
        elif name != wanted:
            others.append((name, why))
        elif encoder.software is None:
            yield error(
                f"the encoder {name} does not work, and it is the setting enhance: encoder",
                f"choose another, or {OWN_FFMPEG}",
                [("reason", why)],
            )
        else:
            yield warning(
                f"the encoder {name} does not work on this machine: tapes will get {encoder.software} instead",
                f"check that the GPU's driver is installed, or set enhance: encoder: {encoder.software}",
                [("reason", why)],
            )
    yield ok(f"encoders that work: {', '.join(working) or 'none'}")
    if others:
        yield ok("encoders that do not work on this machine and are not in use:", others)


def _failure(name: str, section: Mapping[str, Any]) -> str | None:
    """Reason why an encoder does not work; None if it does, on each GPU."""
    from tapemill.enhance import plan_output_format
    from tapemill.enhance.encoders import try_encoder
    from tapemill.media import ffmpeg

    for device in _devices_for(name):
        where = f"on the GPU at {device.pci_address}: " if device.pci_address else ""
        settings = _settings(section)
        try:
            output = plan_output_format(_tape_video(), settings)
            try_encoder(name, output, settings, device, concerns=Path(ffmpeg.binary()))
        except (ConfigError, SetupError):
            raise
        except TapemillError as exc:
            return where + _reason(name, exc)
    return None


def _devices_for(encoder: str) -> Sequence[Device]:
    """Devices to try an encoder on. Only Quick Sync is given its GPU; NVENC uses the visibility mask of the process."""
    from tapemill.devices import pci

    if not encoder.endswith("_qsv"):
        return [CPU]
    return [Device("xpu", pci_address=address) for address in pci.intel_gpus()] or [CPU]


def _reason(encoder: str, exc: TapemillError) -> str:
    """First message of the encoder itself, without the address that ffmpeg puts before it."""
    own = re.compile(rf"^\[{encoder} @ \w+\] *(.*)")
    messages = [found[1] for line in exc.stderr_tail if (found := own.match(line))]
    return messages[0] if messages else "; ".join([exc.what, *exc.stderr_tail[-1:]])


def _settings(section: Mapping[str, Any]) -> EnhanceSettings:
    from tapemill.enhance import EnhanceSettings

    settings = EnhanceSettings(**section)
    # Networks do not run in ffmpeg.
    return replace(settings, preset="fast" if settings.preset in ("good", "best") else settings.preset, chain=None)


def _tape_video() -> VideoInfo:
    """Video of a typical PAL capture; whether ffmpeg works does not depend on the size."""
    from tapemill.media.capture_info import VideoInfo
    from tapemill.media.colour import Colour

    unknown = Colour("unknown", "unknown", "unknown", "unknown")
    return VideoInfo(720, 576, "yuv422p", 8, Fraction(16, 15), Fraction(25), "tff", unknown)

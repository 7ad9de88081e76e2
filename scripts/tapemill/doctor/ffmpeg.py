"""ffmpeg, its filters and its encoders, by having it do a little of what jobs will have it do."""

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

ASK_S: Final = 20.0
FRAMES: Final = 3
# Of the dozens of libraries in a build those that a run may use, and what Quick Sync is reached by.
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
# So much of each filter that none is left out: another ffmpeg may lack any of them.
ALL_FILTERS: Final[Mapping[str, Any]] = {
    "preset": "fast",
    "chain": None,
    "sharpen": 0.1,
    "grain_levels": 2,
    "chroma_shift_samples": -3,
    "chroma_shift_lines": -2,
}


def check_ffmpeg(asked: CheckOptions) -> Iterator[Finding]:
    """Which ffmpeg jobs will start, and how it was built."""
    from tapemill.media import ffmpeg

    ffmpeg.set_binary(setting("ffmpeg"))
    program = Path(ffmpeg.binary())
    with ffmpeg.pipe_out(["-version"], concerns=program, timeout_s=ASK_S) as stream:
        said = stream.read().decode("utf-8", "replace").splitlines()
    first = said[0] if said else ""
    if not first.startswith("ffmpeg version"):
        yield error("the program of the setting `ffmpeg` is no ffmpeg", OWN_FFMPEG, [("program", str(program))])
        return
    built = next((line for line in said if line.startswith("configuration:")), "")
    libraries = [name for name in LIBRARIES if f"--enable-{name}" in built.split()]
    facts = [("program", str(program)), ("built with", ", ".join(libraries) or "none of those that matter here")]
    yield ok(first.partition(" Copyright")[0], facts)


def check_filters(asked: CheckOptions) -> Iterator[Finding]:
    """Whether ffmpeg knows every filter of the chain, by sending some frames of a tape through all of them."""
    from tapemill.enhance.filters.graph import SceneGraphInput, filter_chain
    from tapemill.media import ffmpeg

    ffmpeg.set_binary(setting("ffmpeg"))
    picture = _tape_picture()
    scene = SceneGraphInput.of(picture, "tff", _settings({**setting("enhance"), **ALL_FILTERS}))
    source = f"testsrc2=size={picture.width}x{picture.height}:rate={picture.rate},format={picture.pixel_format}"
    try:
        ffmpeg.run(
            [
                *("-f", "lavfi", "-i", source, "-frames:v", str(FRAMES)),
                *("-vf", ",".join(filter_chain(scene)), "-f", "null", "-"),
            ],
            concerns=Path(ffmpeg.binary()),
            timeout_s=ASK_S,
        )
    except ToolFailed as exc:
        yield Finding("error", "ffmpeg cannot do the filters of the chain", Finding.of(exc).facts, OWN_FFMPEG)
        return
    yield ok("ffmpeg does all filters of the chain")


def check_encoders(asked: CheckOptions) -> Iterator[Finding]:
    """Each encoder, by encoding some frames as clips are encoded; hardware on each card that is known."""
    from tapemill.enhance.encoders import ENCODERS
    from tapemill.media import ffmpeg

    ffmpeg.set_binary(setting("ffmpeg"))
    section = setting("enhance")
    wanted = section["encoder"]
    working, others = [], []
    for name, encoder in ENCODERS.items():
        own = section if name == wanted else {**section, "crf": None, "pixel_format": "auto"}
        why = _obstacle(name, {**own, "encoder": name})
        if why is None:
            working.append(name)
        elif name != wanted:
            others.append((name, why))
        elif encoder.software is None:
            yield error(
                f"the encoder {name} does not work, and the setting enhance: encoder asks for it",
                f"choose another, or {OWN_FFMPEG}",
                [("said", why)],
            )
        else:
            yield warning(
                f"the encoder {name} does not work on this machine: tapes will get {encoder.software} instead",
                f"see that the card's driver is installed, or set enhance: encoder: {encoder.software}",
                [("said", why)],
            )
    yield ok(f"encoders that work: {', '.join(working) or 'none'}")
    if others:
        yield ok("encoders that do not work on this machine, and are not asked for:", others)


def _obstacle(name: str, section: Mapping[str, Any]) -> str | None:
    """Why an encoder does not work; None if it does, on each card."""
    from tapemill.enhance import plan_output_format
    from tapemill.enhance.encoders import try_encoder
    from tapemill.media import ffmpeg

    for device in _cards_for(name):
        where = f"on the card at {device.pci_address}: " if device.pci_address else ""
        settings = _settings(section)
        try:
            output = plan_output_format(_tape_picture(), settings)
            try_encoder(name, output, settings, device, concerns=Path(ffmpeg.binary()))
        except (ConfigError, SetupError):
            raise
        except TapemillError as exc:
            return where + _reason(name, exc)
    return None


def _cards_for(encoder: str) -> Sequence[Device]:
    """What an encoder has to be tried on. Only Quick Sync is told its card, NVENC heeds the mask of the process."""
    from tapemill.devices import pci

    if not encoder.endswith("_qsv"):
        return [CPU]
    return [Device("xpu", pci_address=address) for address in pci.intel_gpus()] or [CPU]


def _reason(encoder: str, exc: TapemillError) -> str:
    """What the encoder itself said first, without the address that ffmpeg puts before it."""
    own = re.compile(rf"^\[{encoder} @ \w+\] *(.*)")
    said = [found[1] for line in exc.stderr_tail if (found := own.match(line))]
    return said[0] if said else "; ".join([exc.what, *exc.stderr_tail[-1:]])


def _settings(section: Mapping[str, Any]) -> EnhanceSettings:
    from tapemill.enhance import EnhanceSettings

    settings = EnhanceSettings(**section)
    # Networks are no affair of ffmpeg.
    return replace(settings, preset="fast" if settings.preset in ("good", "best") else settings.preset, chain=None)


def _tape_picture() -> VideoInfo:
    """What a PAL tape is captured as: whether it works does not depend on the size."""
    from tapemill.media.capture_info import VideoInfo
    from tapemill.media.colour import Colour

    unknown = Colour("unknown", "unknown", "unknown", "unknown")
    return VideoInfo(720, 576, "yuv422p", 8, Fraction(16, 15), Fraction(25), "tff", unknown)

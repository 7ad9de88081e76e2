"""Table of encoders, and the choice between hardware and software, made once for a tape.

All clips of a tape must have the same codec parameters, or they do not join without re-encoding. Hence:
- The choice is made once per tape (`choose_encoder`, by a trial), written to a file, and used for every clip.
- A hardware encoder that fails later fails its clip, as a transient error; there is no fallback for a single clip.
- Options that make headers depend on content, or bytes on the number of cores, are switched off or fixed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from tapemill.core.errors import ConfigError, InputError, ToolFailed, ToolKilled
from tapemill.core.timing import round_half_up
from tapemill.devices import pci
from tapemill.devices.device import Device
from tapemill.media import ffmpeg
from tapemill.media.capture_info import VideoInfo
from tapemill.media.ffmpeg.limits import timeout_s
from tapemill.storage import atomic, untrusted_text

from .output_format import OutputFormat, plan_output_format
from .settings import EnhanceSettings

LOG = logging.getLogger("tapemill.enhance")

TRIAL_FRAMES = 12
FFV1_SLICES = 4

Effort = Mapping[str, str]


@dataclass(frozen=True)
class Encoder:
    """Encoder of ffmpeg."""

    name: str
    efforts: Effort
    """This encoder's value for each `encoder_effort`."""
    crf: float | None
    """Default quality; visually about equal for all encoders. None for lossless."""
    pixel_formats: Mapping[str, str]
    """Pixel formats of the finished clip, and the input format that the encoder needs for each."""
    options: Callable[[EncodeOptions], list[str]]
    """Builds the encoder's own options."""
    software: str | None = None
    """The software encoder of the same codec; None if this is one."""


@dataclass(frozen=True)
class EncodeOptions:
    """Values that the options of an encoder depend on; equal for all clips of a tape."""

    effort: str
    crf: float
    threads: int
    keyframe_interval: int
    """In frames."""


def _x264(options: EncodeOptions) -> list[str]:
    # stitchable: headers that do not depend on the content.
    return [
        *("-preset", options.effort, "-crf", f"{options.crf:g}", "-threads", str(options.threads)),
        *("-x264-params", "stitchable=1:open-gop=0"),
    ]


def _x265(options: EncodeOptions) -> list[str]:
    # info=0: no banner, which names the processor's features. Frame threads change the result, so they are stated.
    parameters = f"info=0:pools={options.threads}:frame-threads={min(options.threads, 2)}:open-gop=0:log-level=warning"
    return ["-preset", options.effort, "-crf", f"{options.crf:g}", "-x265-params", parameters]


def _svtav1(options: EncodeOptions) -> list[str]:
    return [
        "-preset",
        options.effort,
        "-crf",
        f"{round_half_up(Fraction(options.crf))}",
        "-svtav1-params",
        f"lp={options.threads}",
    ]


def _ffv1(options: EncodeOptions) -> list[str]:
    coding = ("-level", "3", "-coder", "range_tab", "-context", "1", "-slices", str(FFV1_SLICES), "-slicecrc", "1")
    return [*coding, "-threads", str(options.threads)]


def _qsv(options: EncodeOptions) -> list[str]:
    return ["-preset", options.effort, "-global_quality", f"{round_half_up(Fraction(options.crf))}", "-look_ahead", "0"]


def _qsv_av1(options: EncodeOptions) -> list[str]:
    return ["-preset", options.effort, "-global_quality", f"{round_half_up(Fraction(options.crf))}"]


def _nvenc(options: EncodeOptions) -> list[str]:
    return ["-preset", options.effort, "-rc", "vbr", "-cq", f"{options.crf:g}", "-b:v", "0"]


def _unchanged(*formats: str) -> Mapping[str, str]:
    return MappingProxyType({name: name for name in formats})


_X26X = MappingProxyType({"fast": "fast", "medium": "medium", "slow": "slow", "slower": "slower"})
_QSV = MappingProxyType({"fast": "fast", "medium": "medium", "slow": "slow", "slower": "slower"})
_NVENC = MappingProxyType({"fast": "p3", "medium": "p5", "slow": "p6", "slower": "p7"})
_8, _10 = ("yuv420p", "yuv422p", "yuv444p"), ("yuv420p10le", "yuv422p10le", "yuv444p10le")
_GPU_8 = MappingProxyType({"yuv420p": "nv12"})
_GPU_10 = MappingProxyType({"yuv420p": "nv12", "yuv420p10le": "p010le"})

ENCODERS: Mapping[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        Encoder("libx264", _X26X, 18, _unchanged(*_8, *_10), _x264),
        Encoder("libx265", _X26X, 20, _unchanged(*_8, *_10), _x265),
        Encoder(
            "libsvtav1",
            MappingProxyType({"fast": "8", "medium": "6", "slow": "4", "slower": "2"}),
            25,
            _unchanged("yuv420p", "yuv420p10le"),
            _svtav1,
        ),
        Encoder("ffv1", MappingProxyType(dict.fromkeys(_X26X, "")), None, _unchanged(*_8, *_10), _ffv1),
        Encoder("h264_qsv", _QSV, 20, _GPU_8, _qsv, software="libx264"),
        Encoder("hevc_qsv", _QSV, 22, _GPU_10, _qsv, software="libx265"),
        Encoder("av1_qsv", _QSV, 25, _GPU_10, _qsv_av1, software="libsvtav1"),
        Encoder("h264_nvenc", _NVENC, 20, _GPU_8, _nvenc, software="libx264"),
        Encoder("hevc_nvenc", _NVENC, 22, _GPU_10, _nvenc, software="libx265"),
        Encoder("av1_nvenc", _NVENC, 25, _GPU_10, _nvenc, software="libsvtav1"),
    )
}


def needs_choice(settings: EnhanceSettings) -> bool:
    """Whether `choose_encoder` must run before any clip of the tape: a hardware encoder may not work."""
    return ENCODERS[settings.encoder].software is not None


def encoder_arguments(name: str, output: OutputFormat, settings: EnhanceSettings) -> list[str]:
    """Ffmpeg arguments between filters and target. Raises ConfigError for a pixel format that it cannot encode."""
    encoder = ENCODERS[name]
    if output.pixel_format not in encoder.pixel_formats:
        raise ConfigError(
            f"{name} cannot encode {output.pixel_format}",
            remedy=f"set enhance: pixel_format to auto or one of {', '.join(encoder.pixel_formats)}",
        )
    default = encoder.crf if encoder.crf is not None else 0
    interval = 1 if name == "ffv1" else max(1, round_half_up(Fraction(settings.keyframe_interval_s) * output.rate))
    options = EncodeOptions(
        effort=encoder.efforts[settings.encoder_effort],
        crf=default if settings.crf is None else settings.crf,
        threads=settings.encoder_threads,
        keyframe_interval=interval,
    )
    colour = output.colour
    return [
        *("-c:v", name, "-pix_fmt", encoder.pixel_formats[output.pixel_format], *encoder.options(options)),
        *("-g", str(interval), *ffmpeg.BITEXACT, "-flags:v", "+bitexact+cgop"),
        *("-color_primaries", colour.primaries, "-color_trc", colour.transfer),
        *("-colorspace", colour.matrix, "-color_range", colour.range),
    ]


def device_arguments(name: str, device: Device) -> list[str]:
    """Ffmpeg arguments, before its inputs, that put an encoder on the job's GPU.

    NVENC uses the visibility mask of the process. Quick Sync does not: it opens a device file, by default the first
    that works.
    """
    if not name.endswith("_qsv") or not device.pci_address:
        return []
    return ["-qsv_device", str(pci.render_node(device.pci_address))]


def argument_labels(clip: Path, partial: Path, device_args: Sequence[str]) -> dict[str | Path, str]:
    """Labels of the paths in the commands of a clip, for `redact_paths`. `device_args`: from `device_arguments`."""
    return {partial: "clip", clip: "cut", **dict.fromkeys(device_args[1:2], "card")}


def choose_encoder(*, target: Path, picture: VideoInfo, settings: EnhanceSettings, device: Device) -> None:
    """Try the encoder of the settings on the job's GPU, and write the encoder for all clips of the tape.

    `target` is a small JSON file: `asked`, `encoder` (to use) and `reason`, empty unless they differ. A software
    encoder is used without a trial.
    """
    requested = ENCODERS[settings.encoder]
    chosen, reason = requested.name, ""
    if requested.software is not None:
        try:
            try_encoder(requested.name, plan_output_format(picture, settings), settings, device, concerns=target)
        except (ToolFailed, ToolKilled) as error:
            chosen, reason = requested.software, "; ".join([error.what, *error.stderr_tail[:3]])
            LOG.warning("%s does not work on this machine, the tape gets %s: %s", requested.name, chosen, reason)
    atomic.write_json(target, {"asked": requested.name, "encoder": chosen, "reason": reason})


def chosen_encoder(choice: Path | None, settings: EnhanceSettings) -> str:
    """The encoder for a clip: the tape's choice (a file of `choose_encoder`), or the software encoder of the settings.

    Raises InputError if the choice was made for another setting, ValueError for a hardware encoder without a choice.
    """
    if choice is None:
        if needs_choice(settings):
            raise ValueError(f"{settings.encoder} needs a choice made for the whole tape")
        return settings.encoder
    values = untrusted_text.read_json(choice, error=InputError, remedy="delete the file")
    if values.get("asked") != settings.encoder or values.get("encoder") not in ENCODERS:
        raise InputError("this choice of an encoder was made for other settings", file=choice, remedy="delete the file")
    return str(values["encoder"])


def try_encoder(name: str, output: OutputFormat, settings: EnhanceSettings, device: Device, *, concerns: Path) -> None:
    """Encode a few frames of the tape's size and format with the options of its clips, on the device.

    `concerns` is the file named in errors. Raises ToolFailed or ToolKilled if the encoder fails.
    """
    source = f"testsrc2=size={output.width}x{output.height}:rate={output.rate}"
    ffmpeg.run(
        [
            *(*device_arguments(name, device), "-f", "lavfi", "-i", source, "-frames:v", str(TRIAL_FRAMES)),
            *(*encoder_arguments(name, output, settings), "-f", "null", "-"),
        ],
        concerns=concerns,
        timeout_s=timeout_s(samples=output.width * output.height, encoded=TRIAL_FRAMES),
    )

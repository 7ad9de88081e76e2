"""Encoders as data, and the choice between hardware and software, made once for a tape.

All clips of a tape must have the same codec parameters, or they do not join without re-encoding. Hence:
- The choice is made once per tape (`choose_encoder`, by really encoding), written to a file, and obeyed by every clip.
- A hardware encoder that fails later fails its clip, as a transient error; it never falls back for that clip alone.
- Everything that would make headers depend on content, or bytes on the number of cores, is switched off or fixed.
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
    """One encoder of ffmpeg."""

    name: str
    efforts: Effort
    """The setting `encoder_effort` in this encoder's words."""
    crf: float | None
    """Quality where the config leaves it open; about equal to the eye for all. None for lossless."""
    pixel_formats: Mapping[str, str]
    """Formats of the finished clip that it can make, and what it has to be fed for each."""
    options: Callable[[EncodeOptions], list[str]]
    """The encoder's own options."""
    software: str | None = None
    """The software encoder of the same codec; None if this is one."""


@dataclass(frozen=True)
class EncodeOptions:
    """What the options of an encoder depend on; equal for all clips of a tape."""

    effort: str
    crf: float
    threads: int
    keyframe_interval: int
    """In frames."""


def _x264(job: EncodeOptions) -> list[str]:
    # stitchable: headers that do not depend on what is encoded.
    return [
        *("-preset", job.effort, "-crf", f"{job.crf:g}", "-threads", str(job.threads)),
        *("-x264-params", "stitchable=1:open-gop=0"),
    ]


def _x265(job: EncodeOptions) -> list[str]:
    # info=0: no banner, which names the processor's features. Frame threads change the result, so they are stated.
    parameters = f"info=0:pools={job.threads}:frame-threads={min(job.threads, 2)}:open-gop=0:log-level=warning"
    return ["-preset", job.effort, "-crf", f"{job.crf:g}", "-x265-params", parameters]


def _svtav1(job: EncodeOptions) -> list[str]:
    return ["-preset", job.effort, "-crf", f"{round_half_up(Fraction(job.crf))}", "-svtav1-params", f"lp={job.threads}"]


def _ffv1(job: EncodeOptions) -> list[str]:
    coding = ("-level", "3", "-coder", "range_tab", "-context", "1", "-slices", str(FFV1_SLICES), "-slicecrc", "1")
    return [*coding, "-threads", str(job.threads)]


def _qsv(job: EncodeOptions) -> list[str]:
    return ["-preset", job.effort, "-global_quality", f"{round_half_up(Fraction(job.crf))}", "-look_ahead", "0"]


def _qsv_av1(job: EncodeOptions) -> list[str]:
    return ["-preset", job.effort, "-global_quality", f"{round_half_up(Fraction(job.crf))}"]


def _nvenc(job: EncodeOptions) -> list[str]:
    return ["-preset", job.effort, "-rc", "vbr", "-cq", f"{job.crf:g}", "-b:v", "0"]


def _same(*formats: str) -> Mapping[str, str]:
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
        Encoder("libx264", _X26X, 18, _same(*_8, *_10), _x264),
        Encoder("libx265", _X26X, 20, _same(*_8, *_10), _x265),
        Encoder(
            "libsvtav1",
            MappingProxyType({"fast": "8", "medium": "6", "slow": "4", "slower": "2"}),
            25,
            _same("yuv420p", "yuv420p10le"),
            _svtav1,
        ),
        Encoder("ffv1", MappingProxyType(dict.fromkeys(_X26X, "")), None, _same(*_8, *_10), _ffv1),
        Encoder("h264_qsv", _QSV, 20, _GPU_8, _qsv, software="libx264"),
        Encoder("hevc_qsv", _QSV, 22, _GPU_10, _qsv, software="libx265"),
        Encoder("av1_qsv", _QSV, 25, _GPU_10, _qsv_av1, software="libsvtav1"),
        Encoder("h264_nvenc", _NVENC, 20, _GPU_8, _nvenc, software="libx264"),
        Encoder("hevc_nvenc", _NVENC, 22, _GPU_10, _nvenc, software="libx265"),
        Encoder("av1_nvenc", _NVENC, 25, _GPU_10, _nvenc, software="libsvtav1"),
    )
}


def needs_choice(settings: EnhanceSettings) -> bool:
    """Whether the encoder has to be tried before any clip of the tape (`choose_encoder`): hardware may not be there."""
    return ENCODERS[settings.encoder].software is not None


def encoder_arguments(name: str, output: OutputFormat, settings: EnhanceSettings) -> list[str]:
    """Arguments of ffmpeg between its filters and its target. Raises ConfigError for a format it cannot encode."""
    encoder = ENCODERS[name]
    if output.pixel_format not in encoder.pixel_formats:
        raise ConfigError(
            f"{name} cannot encode {output.pixel_format}",
            remedy=f"set enhance: pixel_format to auto or one of {', '.join(encoder.pixel_formats)}",
        )
    default = encoder.crf if encoder.crf is not None else 0
    interval = 1 if name == "ffv1" else max(1, round_half_up(Fraction(settings.keyframe_interval_s) * output.rate))
    job = EncodeOptions(
        effort=encoder.efforts[settings.encoder_effort],
        crf=default if settings.crf is None else settings.crf,
        threads=settings.encoder_threads,
        keyframe_interval=interval,
    )
    colour = output.colour
    return [
        *("-c:v", name, "-pix_fmt", encoder.pixel_formats[output.pixel_format], *encoder.options(job)),
        *("-g", str(interval), *ffmpeg.BITEXACT, "-flags:v", "+bitexact+cgop"),
        *("-color_primaries", colour.primaries, "-color_trc", colour.transfer),
        *("-colorspace", colour.matrix, "-color_range", colour.range),
    ]


def device_arguments(name: str, device: Device) -> list[str]:
    """Arguments of ffmpeg, before its inputs, that put an encoder on the job's card.

    NVENC heeds the mask of the process. Quick Sync does not: it opens a device file, on its own the first that serves.
    """
    if not name.endswith("_qsv") or not device.pci_address:
        return []
    return ["-qsv_device", str(pci.render_node(device.pci_address))]


def argument_labels(clip: Path, partial: Path, on_card: Sequence[str]) -> dict[str | Path, str]:
    """Names, for `described`, of what in the commands of a clip is a place. `on_card`: `device_arguments`."""
    return {partial: "clip", clip: "cut", **dict.fromkeys(on_card[1:2], "card")}


def choose_encoder(*, target: Path, picture: VideoInfo, settings: EnhanceSettings, device: Device) -> None:
    """Try the encoder of the settings on the job's card and write which one all clips of the tape have to use.

    `target` is a small JSON file: `asked`, `encoder` (what to use) and `reason`, empty unless they differ. A software
    encoder is taken without trial.
    """
    asked = ENCODERS[settings.encoder]
    chosen, reason = asked.name, ""
    if asked.software is not None:
        try:
            try_encoder(asked.name, plan_output_format(picture, settings), settings, device, concerns=target)
        except (ToolFailed, ToolKilled) as error:
            chosen, reason = asked.software, "; ".join([error.what, *error.stderr_tail[:3]])
            LOG.warning("%s does not work on this machine, the tape gets %s: %s", asked.name, chosen, reason)
    atomic.write_json(target, {"asked": asked.name, "encoder": chosen, "reason": reason})


def chosen_encoder(choice: Path | None, settings: EnhanceSettings) -> str:
    """The encoder for a clip: the tape's choice, or a software encoder as it is asked for.

    Raises InputError if the choice was made for another setting, ValueError if hardware is asked for without a choice.
    """
    if choice is None:
        if needs_choice(settings):
            raise ValueError(f"{settings.encoder} needs a choice made for the whole tape")
        return settings.encoder
    made = untrusted_text.read_json(choice, error=InputError, remedy="delete the file")
    if made.get("asked") != settings.encoder or made.get("encoder") not in ENCODERS:
        raise InputError("this choice of an encoder is not for these settings", file=choice, remedy="delete the file")
    return str(made["encoder"])


def try_encoder(name: str, output: OutputFormat, settings: EnhanceSettings, device: Device, *, concerns: Path) -> None:
    """Encode a few frames of the tape's size and format with the very options of its clips, on the device.

    `concerns` is the file named in errors. Raises ToolFailed or ToolKilled if that does not work.
    """
    picture = f"testsrc2=size={output.width}x{output.height}:rate={output.rate}"
    ffmpeg.run(
        [
            *(*device_arguments(name, device), "-f", "lavfi", "-i", picture, "-frames:v", str(TRIAL_FRAMES)),
            *(*encoder_arguments(name, output, settings), "-f", "null", "-"),
        ],
        concerns=concerns,
        timeout_s=timeout_s(samples=output.width * output.height, encoded=TRIAL_FRAMES),
    )

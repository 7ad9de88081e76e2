"""Verification of media files that a tool has written, before they get their final names.

A tool may exit with 0 and have written nothing, a part, garbage, or black frames and silence: a full disk, a broken
driver, a wrong program. All stages that write media use these checks; properties that only one stage knows (geometry,
time stamps) it checks itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av.error
import numpy as np
from av import AudioFrame, VideoFrame
from av.container import InputContainer

from tapemill.core.errors import GateError, InputError, WriteFailed
from tapemill.storage.disk_space import FAILING

from .audio_samples import frame_samples
from .probe import open_media

REMEDY = "run again; if it fails again, check the disk and the setting `ffmpeg`"
# Thumbnails for comparisons: coarse enough to ignore noise, even tape snow, and fields and sharpening.
THUMBNAIL = (6, 8)
# Frames with less contrast than this (in 8-bit levels, over the thumbnail) have no structure to compare.
MIN_SPREAD = 6.0
# Audio of a tape is always above this level, and digital silence is far below it. Full scale 1.
AUDIBLE = 10 ** (-60 / 20)


@contextmanager
def verifying(path: Path, *, target: Path, remedy: str = REMEDY) -> Iterator[None]:
    """Context for reading the output in `path`, which is to become `target`.

    Raises GateError, naming the target, if nothing was written, or the block fails because it is no media or damaged;
    WriteFailed if the disk reported an error.
    """
    check_exists(path, target=target, remedy=remedy)
    try:
        yield
    except (InputError, av.error.FFmpegError) as error:
        if _is_of_disk(error):
            raise WriteFailed(
                "the disk reported an error while what was written was read back",
                file=target,
                tool="PyAV",
                remedy="check the disk with the results (`dmesg`, `smartctl`) or the network drive; then run again",
            ) from error
        raise _gate_error(error, target, remedy) from error


@contextmanager
def open_output(
    path: Path, *, target: Path, remedy: str = REMEDY, demuxer: str | None = None
) -> Iterator[InputContainer]:
    """Open the output in `path` for reading in the block, as `demuxer` if given. Raises like `verifying`."""
    with verifying(path, target=target, remedy=remedy), open_media(path, demuxer=demuxer) as container:
        yield container


def _is_of_disk(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, is one of a disk or a network drive."""
    while error is not None:
        if getattr(error, "errno", None) in FAILING:
            return True
        error = error.__cause__ or error.__context__
    return False


def _gate_error(error: InputError | av.error.FFmpegError, target: Path, remedy: str) -> GateError:
    if isinstance(error, InputError):
        return GateError(f"what was written cannot be used: {error.what}", file=target, remedy=remedy)
    return GateError(
        f"what was written cannot be read to its end: {error.strerror}", file=target, tool="PyAV", remedy=remedy
    )


def check_exists(path: Path, *, target: Path, remedy: str = REMEDY) -> None:
    """Raise GateError unless the output exists and is not empty."""
    if not path.is_file():
        raise GateError("nothing was written", file=target, remedy=remedy)
    if path.stat().st_size == 0:
        raise GateError("an empty file was written", file=target, remedy=remedy)


def check_loudness(*, written: float, was: float, target: Path) -> None:
    """Raise GateError if the audio became silent. Both are peaks, full scale 1."""
    if was > AUDIBLE and written == 0:
        raise GateError("the written audio is silent, and its source is not", file=target, remedy=REMEDY)


def peak_amplitude(frame: AudioFrame) -> float:
    """Return the largest absolute sample of a decoded frame, full scale 1."""
    if frame.samples == 0:
        return 0.0
    samples = frame_samples(frame)
    if samples.dtype.kind == "f":
        return float(np.abs(samples).max())
    bits = 8 * samples.dtype.itemsize - 1
    middle = 128 if samples.dtype == np.uint8 else 0
    return float(np.abs(samples.astype(np.float64) - middle).max() / 2**bits)


def thumbnail(frame: VideoFrame, part: tuple[int, int, int, int] | None = None) -> np.ndarray | None:
    """Return means of luma over blocks, shape = THUMBNAIL; None for small frames. `part`: x, y, width, height."""
    luma = frame.to_ndarray(format="gray")
    if part is not None:
        x, y, width, height = part
        luma = luma[y : y + height, x : x + width]
    rows, columns = THUMBNAIL
    if luma.shape[0] < 2 * rows or luma.shape[1] < 2 * columns:
        return None
    tall, wide = luma.shape[0] // rows * rows, luma.shape[1] // columns * columns
    means: np.ndarray = luma[:tall, :wide].reshape(rows, tall // rows, columns, wide // columns).mean(axis=(1, 3))
    return means


def is_blank(frame: VideoFrame) -> bool:
    """Whether a frame is black, or of one colour, or too small to judge."""
    means = thumbnail(frame)
    return means is None or float(means.std()) < MIN_SPREAD

"""Small captures of every container, and what the capture stage makes of them."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tapemill.capture.probe import probe_capture
from tapemill.core.errors import InputError
from tapemill.media.capture_info import Capture
from tapemill.media.ffmpeg import runner as ffmpeg
from tests.support.capture_info import capture_settings
from tests.support.project import ROOT

MUXERS = {
    **{"mkv": "matroska", "mp4": "mp4", "mov": "mov", "avi": "avi", "ts": "mpegts", "vob": "vob", "dv": "dv"},
    **{"flv": "flv", "m2v": "mpeg2video", "mxf": "mxf"},
}
PICTURE = "testsrc2=s=64x48:r=25"
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-threads", "1")
MPEG2 = ("-c:v", "mpeg2video", "-g", "12", "-b:v", "1M")
MPEG4 = ("-c:v", "mpeg4", "-g", "12", "-bf", "2")
DV = ("-vf", "scale=720:576", "-c:v", "dvvideo", "-pix_fmt", "yuv420p")
CODECS = {"ts": MPEG2, "vob": MPEG2, "m2v": MPEG2, "mxf": MPEG2, "avi": MPEG4, "dv": DV}
SOUND = {
    "dv": ("pcm_s16le", "-ar", "48000", "-ac", "2"),
    "mxf": ("pcm_s16le", "-ar", "48000"),
    "m2v": ("mp2", "-an"),
    "flv": ("aac", "-ar", "44100"),
}


def run(*arguments: object) -> None:
    """Run ffmpeg."""
    ffmpeg.run([str(word) for word in arguments], concerns=ROOT, timeout_s=60)


def make(path: Path, *options: object, seconds: float = 4, picture: str = PICTURE, sound: bool = True) -> Path:
    """Make a capture that was finished some time ago. Container and codec follow from the suffix."""
    inputs = ["-f", "lavfi", "-i", f"{picture}:d={seconds}"]
    if sound:
        inputs += ["-f", "lavfi", "-i", f"sine=d={seconds}"]
    kind = path.suffix[1:]
    codecs = (*CODECS.get(kind, X264), "-c:a", *SOUND.get(kind, ("mp2",)))
    run(*inputs, *codecs, *options, *ffmpeg.output_args(path, MUXERS[kind]))
    return aged(path)


def aged(path: Path) -> Path:
    """Give a file a time at which nobody waits for it to grow."""
    os.utime(path, (time.time() - 60,) * 2)
    return path


def copied(source: Path, target: Path, *options: object, before: tuple[str, ...] = ()) -> Path:
    """Remux a capture."""
    muxer = MUXERS[target.suffix[1:]]
    inputs = ffmpeg.input_args(source, options=before)
    run(*inputs, "-map", 0, "-c", "copy", *options, *ffmpeg.output_args(target, muxer))
    return aged(target)


def written(path: Path, *parts: bytes | Path) -> Path:
    """Write a file of bytes and of the content of other files."""
    path.write_bytes(b"".join(part if isinstance(part, bytes) else part.read_bytes() for part in parts))
    return aged(path)


def shortened(path: Path, share: float = 0.6) -> Path:
    """Copy the beginning of a capture."""
    data = path.read_bytes()
    return written(path.with_name(f"cut{path.suffix}"), data[: int(len(data) * share)])


def look(path: Path, field_order: str = "progressive", **settings: Any) -> Capture:
    """Return what the capture stage finds in a capture that it accepts."""
    target = path.with_suffix(".json")
    probe_capture(
        source=path,
        target=target,
        field_order=field_order,
        display_aspect=None,
        settings=capture_settings(**settings),
    )
    return Capture.read(target)


def refused(path: Path, *words: str, **settings: Any) -> str:
    """Return the message for a capture that is refused. It has a remedy, and matches all of `words`."""
    path.with_suffix(".json").unlink(missing_ok=True)
    with pytest.raises(InputError) as caught:
        look(path, **settings)
    assert caught.value.file == path
    assert caught.value.remedy
    for word in words:
        assert re.search(word, str(caught.value)), str(caught.value)
    assert not path.with_suffix(".json").exists()
    return str(caught.value)


def remarks(capture: Capture) -> str:
    """Return all remarks of a capture."""
    return " ".join(capture.notes.get("remarks", []))

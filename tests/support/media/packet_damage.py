"""Captures that are damaged at known places."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import av

# Each picture is coded by itself, so that it is known what can still be decoded.
MJPEG: Final[dict[str, Any]] = {"codec": "mjpeg", "pixel_format": "yuvj420p", "b_frames": 0}


def spoil(path: Path, frames: Iterable[int]) -> None:
    """Overwrite the packets of these frames with zeros, counted in the order of the file."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in frames:
        place = data.find(packets[number])
        assert place >= 0
        data[place : place + len(packets[number])] = bytes(len(packets[number]))
    path.write_bytes(data)

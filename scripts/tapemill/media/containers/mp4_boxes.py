"""Boxes of MP4 and QuickTime files (ISO/IEC 14496-12), read without a media library: the edit lists of their tracks.

libavformat follows an edit list frame by frame when it opens a file. A list that shows the same media again and again
costs it hours and gigabytes, so lists are read here first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

EMPTY_EDIT = -1
# More than any recorder writes: a fragment for each frame of a day, a row for each frame of four days.
MAX_BOXES = 5_000_000
MAX_TABLE_BYTES = 1 << 26


@dataclass(frozen=True)
class Box:
    """One box: its kind, and its content [start, stop) in bytes of the file. It may end after the file does."""

    kind: bytes
    start: int
    stop: int


@dataclass(frozen=True)
class EditList:
    """What the edit list of a track makes of its media."""

    entries: int
    """Edits that show media; delays are not counted."""
    media_s: float
    shown_s: float
    """Sum of all edits, each as long as its media at most."""


def read_boxes(stream: IO[bytes], start: int, stop: int) -> Iterator[Box]:
    """Yield the boxes in [start, stop), up to one with an impossible size."""
    position = start
    for _ in range(MAX_BOXES):
        if position + 8 > stop:
            return
        stream.seek(position)
        header = stream.read(16)
        if len(header) < 8:
            return
        length, kind, content = int.from_bytes(header[:4], "big"), header[4:8], 8
        if length == 1 and len(header) == 16:
            length, content = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = stop - position
        # A box has at least its own header.
        if length < content:
            return
        yield Box(kind, position + content, position + length)
        position += length


def read_edit_lists(path: Path) -> list[EditList]:
    """Return the edit lists of all tracks of an MP4 or QuickTime file; none of other files.

    The media of fragments are not counted in the index, so the edit lists of fragmented files are left out.
    """
    with path.open("rb") as stream:
        file = Box(b"", 0, path.stat().st_size)
        found: list[EditList] = []
        for movie in islice(_find(stream, file, b"moov"), 1):
            movie_scale = _time_scale(stream, movie, b"mvhd")
            for track in _find(stream, movie, b"trak"):
                found += _edit_lists(stream, track, movie_scale)
        return found


def _edit_lists(stream: IO[bytes], track: Box, movie_scale: int) -> Iterator[EditList]:
    media_scale = _time_scale(stream, track, b"mdia", b"mdhd")
    times = next(_find(stream, track, b"mdia", b"minf", b"stbl", b"stts"), None)
    if times is None or not media_scale or not movie_scale:
        return
    # The header's duration may be wrong; the frames are what there is.
    rows = _table(stream, times, np.dtype((">u4", 2))).astype(np.float64)
    media_s = float(rows.prod(axis=1).sum()) / media_scale
    if not media_s:
        return
    for edits in _find(stream, track, b"edts", b"elst"):
        stream.seek(edits.start)
        size = 8 if stream.read(1) == b"\1" else 4
        table = _table(stream, edits, np.dtype([("s", f">u{size}"), ("start", f">i{size}"), ("rate", ">u4")]))
        shown = table["s"][table["start"] != EMPTY_EDIT].astype(np.float64) / movie_scale
        # A duration of 0 means all that is left.
        shown[shown == 0] = media_s
        yield EditList(len(shown), media_s, float(np.minimum(shown, media_s).sum()))


def _find(stream: IO[bytes], parent: Box, *kinds: bytes) -> Iterator[Box]:
    """Yield the boxes of the last kind that are in boxes of the kinds before it, from outer to inner."""
    for box in read_boxes(stream, parent.start, parent.stop):
        if box.kind == kinds[0]:
            yield from _find(stream, box, *kinds[1:]) if kinds[1:] else (box,)


def _time_scale(stream: IO[bytes], parent: Box, *kinds: bytes) -> int:
    """Return the units a second that a header (`mvhd`, `mdhd`) states; 0 if there is none."""
    for header in _find(stream, parent, *kinds):
        stream.seek(header.start)
        data = stream.read(24)
        start = 20 if data[:1] == b"\1" else 12
        return int.from_bytes(data[start : start + 4], "big")
    return 0


def _table(stream: IO[bytes], box: Box, row: np.dtype) -> np.ndarray:
    """Read a table: version and flags, the number of rows, the rows. Returns as many rows as there really are."""
    stream.seek(box.start)
    rows = int.from_bytes(stream.read(8)[4:], "big")
    length = max(0, min(rows * row.itemsize, box.stop - box.start - 8, MAX_TABLE_BYTES))
    data = stream.read(length)
    return np.frombuffer(data, dtype=row, count=len(data) // row.itemsize)

"""Edit lists of MP4 files, written by hand: what a camera, an editor or an attacker may have written."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from tapemill.media.containers.mp4_boxes import Box, read_boxes


def with_edit_list(source: Path, target: Path, edits: Sequence[tuple[float, float | None]]) -> Path:
    """Write an MP4 file whose tracks all have the same edits: duration and start in seconds, start None for a delay.

    The index of `source` is at its end, so that no offset changes.
    """
    data = source.read_bytes()
    boxes = _boxes(source, 0, len(data))
    movie = boxes[-1]
    assert movie.kind == b"moov"
    movie_scale = _scale(source, next(box for box in _inside(source, movie) if box.kind == b"mvhd"))
    content = b""
    for box in _inside(source, movie):
        whole = data[box.start - 8 : box.stop]
        content += _track(source, data, box, edits, movie_scale) if box.kind == b"trak" else whole
    target.write_bytes(data[: movie.start - 8] + _box(b"moov", content))
    return target


def _track(
    source: Path, data: bytes, track: Box, edits: Sequence[tuple[float, float | None]], movie_scale: int
) -> bytes:
    parts = _inside(source, track)
    media = next(box for box in parts if box.kind == b"mdia")
    scale = _scale(source, next(box for box in _inside(source, media) if box.kind == b"mdhd"))
    rows = b"".join(
        struct.pack(">Iihh", round(length * movie_scale), -1 if start is None else round(start * scale), 1, 0)
        for length, start in edits
    )
    edit_list = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)) + rows))
    kept = [data[box.start - 8 : box.stop] for box in parts if box.kind != b"edts"]
    return _box(b"trak", kept[0] + edit_list + b"".join(kept[1:]))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _boxes(source: Path, start: int, stop: int) -> list[Box]:
    with source.open("rb") as stream:
        return list(read_boxes(stream, start, stop))


def _inside(source: Path, box: Box) -> list[Box]:
    return _boxes(source, box.start, box.stop)


def _scale(source: Path, header: Box) -> int:
    data = source.read_bytes()[header.start :]
    return int(struct.unpack_from(">I", data, 12)[0])

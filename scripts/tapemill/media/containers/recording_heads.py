"""Heads of recordings that were joined byte by byte: the bytes where one begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tapemill.media.container_integrity import mp4_boxes, ts_layout

# The head of a recording is this near before its first frame.
SEARCHED_BYTES = 1 << 20
PACK_HEADER, SYSTEM_HEADER = b"\0\0\1\xba", b"\0\0\1\xbb"
EBML_HEADER = b"\x1a\x45\xdf\xa3"
FLV_SIGNATURE = b"FLV\1"
FLV_TAGS = frozenset({8, 9, 18})
FLV_HEADER_BYTES, FLV_TAG_BYTES = 13, 15


def find_head(path: Path, container: str, position: int) -> int | None:
    """Return where the recording begins whose first packet is at a byte position; None if no head is before it.

    `container` is libavformat's name of the format.
    """
    first = max(0, position - SEARCHED_BYTES)
    with path.open("rb") as stream:
        layout = ts_layout(stream.read(8 * 204)) if container == "mpegts" else None
        if layout is not None:
            first += -first % layout[0]
        stream.seek(first)
        data = stream.read(position - first + len(EBML_HEADER))
    if layout is not None:
        found = _last_program_table(data, *layout)
    elif container == "mpeg":
        found = data.rfind(PACK_HEADER, 0, max(0, data.rfind(SYSTEM_HEADER)))
    elif container.startswith("matroska"):
        found = data.rfind(EBML_HEADER)
    else:
        found = -1
    return first + found if found >= 0 else None


def find_whole_recordings(path: Path, container: str) -> list[int]:
    """Return where each recording after the first begins, in containers of which libavformat reads the first only.

    `container` are libavformat's names of the format. Those are AVI, FLV, and MP4 and QuickTime without fragments.
    """
    if container == "flv":
        return list(_flv_heads(path))
    if container == "avi":
        return list(_avi_heads(path))
    if not container.startswith("mov"):
        return []
    boxes = list(mp4_boxes(path))
    starts = [0, *(end for _, end in boxes)]
    kinds = [kind for kind, _ in boxes]
    # Fragments are read on behind a repeated index.
    if kinds.count(b"moov") < 2 or b"moof" in kinds:
        return []
    return [start for start, kind in zip(starts, kinds, strict=False) if kind == b"ftyp" and start]


def _flv_heads(path: Path) -> Iterator[int]:
    with path.open("rb") as stream:
        position, header = 0, stream.read(FLV_TAG_BYTES)
        while len(header) >= FLV_TAG_BYTES - 4:
            if header.startswith(FLV_SIGNATURE):
                if position:
                    yield position
                position += FLV_HEADER_BYTES
            elif header[0] in FLV_TAGS:
                position += FLV_TAG_BYTES + int.from_bytes(header[1:4], "big")
            else:
                return
            stream.seek(position)
            header = stream.read(FLV_TAG_BYTES)


def _avi_heads(path: Path) -> Iterator[int]:
    with path.open("rb") as stream:
        position, header = 0, stream.read(12)
        # An interrupted recorder leaves the length open.
        while header[:4] == b"RIFF" and 0 < (length := int.from_bytes(header[4:8], "little")) < 0xFFFFFFFF:
            if position and header[8:] == b"AVI ":
                yield position
            position += 8 + length + length % 2
            stream.seek(position)
            header = stream.read(12)


def _last_program_table(data: bytes, size: int, offset: int) -> int:
    """Return the start of the last packet with a program association table (PID 0); -1 without one."""
    for start in range(len(data) // size * size - size, -1, -size):
        sync = start + offset
        if data[sync + 1] & 0x5F == 0x40 and data[sync + 2] == 0:
            return start
    return -1

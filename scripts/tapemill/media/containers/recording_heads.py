"""Heads of recordings that were joined byte by byte: the bytes where one begins."""

from __future__ import annotations

from pathlib import Path

from tapemill.media.container_integrity import ts_layout

# The head of a recording is this near before its first frame.
SEARCHED_BYTES = 1 << 20
PACK_HEADER, SYSTEM_HEADER = b"\0\0\1\xba", b"\0\0\1\xbb"
EBML_HEADER = b"\x1a\x45\xdf\xa3"


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


def _last_program_table(data: bytes, size: int, offset: int) -> int:
    """Return the start of the last packet with a program association table (PID 0); -1 without one."""
    for start in range(len(data) // size * size - size, -1, -size):
        sync = start + offset
        if data[sync + 1] & 0x5F == 0x40 and data[sync + 2] == 0:
            return start
    return -1

"""Programmes of a transport stream (ISO/IEC 13818-1): which streams belong to which, by their tables.

PyAV does not show programmes.
"""

from __future__ import annotations

from pathlib import Path

from tapemill.media.container_integrity import TS_SAMPLE_BYTES, TS_SYNC, ts_layout

from .file_parts import part_of

PROGRAM_TABLE, MAP_TABLE = 0, 2


def program_streams(path: Path) -> list[frozenset[int]]:
    """Return the PIDs of the streams of each programme; an empty list for other files."""
    part = part_of(path)
    with path.open("rb") as stream:
        stream.seek(part.start if part else 0)
        data = stream.read(TS_SAMPLE_BYTES)
    layout = ts_layout(data)
    if layout is None:
        return []
    size, offset = layout
    tables: set[int] = set()
    programs: dict[int, frozenset[int]] = {}
    for start in range(offset, len(data) - 187, size):
        pid = int.from_bytes(data[start + 1 : start + 3], "big") & 0x1FFF
        if data[start] != TS_SYNC or not data[start + 1] & 0x40 or (pid != 0 and pid not in tables):
            continue
        section = _section(data[start : start + 188])
        if pid == 0 and section[:1] == bytes([PROGRAM_TABLE]):
            tables |= {
                int.from_bytes(section[at + 2 : at + 4], "big") & 0x1FFF
                for at in range(8, len(section) - 7, 4)
                if section[at : at + 2] != b"\0\0"
            }
        elif section[:1] == bytes([MAP_TABLE]):
            programs[pid] = _streams_of(section)
    return list(programs.values())


def _section(packet: bytes) -> bytes:
    """Return the section that begins in a packet, as far as it is in it."""
    start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    if start >= len(packet):
        return b""
    start += 1 + packet[start]
    length = int.from_bytes(packet[start + 1 : start + 3], "big") & 0xFFF
    return packet[start : start + 3 + length]


def _streams_of(section: bytes) -> frozenset[int]:
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    found = set()
    while at + 5 <= len(section) - 4:
        found.add(int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF)
        at += 5 + (int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF)
    return frozenset(found)

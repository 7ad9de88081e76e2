"""Clean aperture (ISO/IEC 14496-12, 12.1.4) put into QuickTime files, which ffmpeg writes without one."""

from __future__ import annotations

from pathlib import Path

PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
# Of `stsd`: version, flags and the number of its entries.
STSD_HEADER_BYTES = 8


def add_clean_aperture(path: Path, *, width: int, height: int, right: int = 0, down: int = 0) -> None:
    """Let the first track of a MOV file whose index is at its end show part of its frames.

    `right` and `down` move that part out of the middle, in samples and lines.
    """
    data = bytearray(path.read_bytes())
    start, stop, sizes = 0, len(data), []
    for kind in PARENTS:
        while data[start + 4 : start + 8] != kind:
            start += int.from_bytes(data[start : start + 4], "big")
            assert start < stop, f"no {kind!r}"
        sizes.append(start)
        stop = start + int.from_bytes(data[start : start + 4], "big")
        start += 8
    entry = start + STSD_HEADER_BYTES
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    values = (width, 1, height, 1, right, 1, down, 1)
    box = (40).to_bytes(4, "big") + b"clap" + b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    data[end:end] = box
    for position in (*sizes, entry):
        size = int.from_bytes(data[position : position + 4], "big") + len(box)
        data[position : position + 4] = size.to_bytes(4, "big")
    path.write_bytes(data)

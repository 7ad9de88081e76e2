"""File types and truncation, detected from the bytes of a file without a media library.

Truncation is detected where sizes are stated: Matroska (RFC 9559), MP4 and QuickTime (ISO/IEC 14496-12), AVI
(RIFF); and where all packets are equal: transport streams (ISO/IEC 13818-1), raw DV (IEC 61834).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import IO

from .containers.mp4_boxes import read_boxes
from .empty_ranges import MIN_EDGE_BYTES, EmptyRange, find_empty_ranges

SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"<?xml": "an XML document",
    b"\x1a\x45\xdf\xa3": "the beginning of a Matroska file",
}
SEGMENT = 0x18538067
MP4_BOXES = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"moof", b"sidx", b"styp", b"pdin"}
)
PADDING_BOXES = frozenset({b"free", b"skip", b"wide"})
# Writers that count their own headers wrong are off by a few bytes, which hold no frame.
SLACK_BYTES = 1024
TEXT = frozenset({9, 10, 13, *range(32, 127)})
TS_SYNC = 0x47
TS_PACKET = 188
# Plain packets, with a time code before each (Blu-ray, AVCHD), with error correction after each: size, offset of sync.
TS_LAYOUTS = ((188, 0), (192, 4), (204, 0))
TS_SAMPLE_BYTES = 4_000_000
DV_FRAMES = {0x00: 120_000, 0x80: 144_000}  # by the DSF bit of the header: 525 lines, 625 lines
DV_HEADER = b"\x1f\x07\x00"
# A recording may begin in the middle of a frame.
DV_SEARCH_BYTES = 1 << 20


def sniff_file_type(path: Path) -> str | None:
    """Name the type of a file that cannot be read as media, as words that follow "it is"; None if unknown."""
    with path.open("rb") as stream:
        start = stream.read(4096)
    if not any(start):
        return _without_content(path)
    known = next((name for signature, name in SIGNATURES.items() if start.startswith(signature)), None)
    if known is None and is_mp4_without_index(path):
        known = "an MP4 file without its index (moov): the recording was cut off, or never finished"
    if known is None and all(byte in TEXT for byte in start):
        known = "text"
    return known


def truncated_bytes(path: Path, container: str) -> int:
    """Return how many bytes a file lacks at its end by its own headers; 0 if they state no size.

    `container` is libavformat's name of the format. For a stream of equal packets it is the missing part of the last.
    """
    size = path.stat().st_size
    if unit := _packet_size(path, container):
        return -size % unit
    ends = [0]
    if container.startswith("matroska"):
        ends.append(_matroska_end(path))
    elif container.startswith("mov"):
        ends += [end for _, end in mp4_boxes(path)]
    elif container == "avi":
        ends += _riff_ends(path)
    missing = max(ends) - size
    return missing if missing > SLACK_BYTES else 0


def unreachable_bytes(path: Path, container: str) -> int:
    """Return how many bytes of a fragmented MP4 file follow a place where its boxes break off.

    Each fragment is found from the one before it; a hole in one hides all that follow.
    """
    if not container.startswith("mov"):
        return 0
    size, end, kinds = path.stat().st_size, 0, set()
    with path.open("rb") as stream:
        for box in read_boxes(stream, 0, size):
            if not TEXT.issuperset(box.kind):
                break
            kinds.add(box.kind)
            end = box.stop
    return size - end if b"moof" in kinds and size - end > SLACK_BYTES else 0


def mp4_end(path: Path) -> int | None:
    """Return the end of an MP4 or QuickTime file with an index by its own boxes, but for padding; None for others."""
    boxes = list(mp4_boxes(path))
    if b"moov" not in [kind for kind, _ in boxes]:
        return None
    return max(end for kind, end in boxes if kind not in PADDING_BOXES)


def is_mp4_without_index(path: Path) -> bool:
    """Whether a file is an MP4 or QuickTime file that nothing can be read of."""
    boxes = [kind for kind, _ in mp4_boxes(path)]
    return bool(boxes) and b"moov" not in boxes


def is_scrambled(path: Path, container: str) -> bool:
    """Whether most packets of a transport stream are marked as scrambled."""
    if container != "mpegts":
        return False
    with path.open("rb") as stream:
        data = stream.read(TS_SAMPLE_BYTES)
    layout = ts_layout(data)
    if layout is None:
        return False
    size, offset = layout
    starts = range(offset, len(data) - 3, size)
    controls = [data[start + 3] >> 6 for start in starts if data[start] == TS_SYNC]
    return 2 * sum(control != 0 for control in controls) > len(controls)


def _without_content(path: Path) -> str:
    size = path.stat().st_size
    if not size:
        return "empty"
    if size <= MIN_EDGE_BYTES:
        is_whole = not path.read_bytes().strip(b"\0")
    else:
        is_whole = EmptyRange(0, size) in find_empty_ranges(path)
    return "nothing but zeros" if is_whole else "without a head: it begins with zeros"


def mp4_boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the boxes of the outermost level: kind, stated end. Other data may follow the last box."""
    with path.open("rb") as stream:
        boxes = read_boxes(stream, 0, path.stat().st_size)
        yield from ((box.kind, box.stop) for box in takewhile(lambda box: box.kind in MP4_BOXES, boxes))


def _riff_ends(path: Path) -> Iterator[int]:
    """Yield the stated ends of the RIFF chunks of an AVI file; a large one has several (OpenDML)."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        position = 0
        while position + 12 <= size:
            stream.seek(position)
            header = stream.read(12)
            length = int.from_bytes(header[4:8], "little")
            # An interrupted recorder leaves the length open.
            if header[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
                return
            yield position + 8 + length
            position += 8 + length + length % 2


def _matroska_end(path: Path) -> int:
    """Return the stated end of the segment of a Matroska file; 0 if there is none."""
    with path.open("rb") as stream:
        position = 0
        while True:
            stream.seek(position)
            identity, size = _ebml_id(stream), _ebml_size(stream)
            if identity is None or size is None:
                return 0
            position = stream.tell() + size
            if identity == SEGMENT:
                return position


def _ebml_id(stream: IO[bytes]) -> int | None:
    """Read an element's ID, its length marker included (RFC 8794, 5)."""
    first = stream.read(1)
    if not first or first[0] < 0x10:
        return None
    return int.from_bytes(first + stream.read(8 - first[0].bit_length()), "big")


def _ebml_size(stream: IO[bytes]) -> int | None:
    """Read an element's size; None if it is unknown (RFC 8794, 6)."""
    first = stream.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    rest = stream.read(length - 1)
    value = int.from_bytes(bytes([first[0] & (0xFF >> length)]) + rest, "big")
    return None if len(rest) < length - 1 or value == (1 << 7 * length) - 1 else value


def packet_bytes(path: Path) -> int | None:
    """Return the size of the packets of a transport stream or the frames of raw DV; None for other files."""
    return _packet_size(path, "mpegts") or _packet_size(path, "dv")


def has_dv_header(path: Path) -> bool:
    """Whether a header of a raw DV frame is near the beginning of a file."""
    with path.open("rb") as stream:
        data = stream.read(DV_SEARCH_BYTES)
    return any(DV_HEADER + bytes([0x3F | system]) in data for system in DV_FRAMES)


def _packet_size(path: Path, container: str) -> int | None:
    with path.open("rb") as stream:
        start = stream.read(8 * 204)
    if container == "mpegts":
        layout = ts_layout(start)
        return layout[0] if layout else None
    if container == "dv" and start.startswith(DV_HEADER):
        return DV_FRAMES[start[3] & 0x80]
    return None


def ts_layout(data: bytes) -> tuple[int, int] | None:
    """Return the packet size and the offset of the first sync byte, if packets begin with the file."""
    for size, offset in TS_LAYOUTS:
        starts = range(offset, min(len(data), 8 * size), size)
        if len(starts) > 1 and all(data[start] == TS_SYNC for start in starts):
            return size, offset
    return None

"""Chunks of AVI files: empty ones, with which recorders note that a frame repeats the one before ("null frames").

libavformat passes over them: their frames are gaps of the time stamps, and those at the end are not seen at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

from .file_parts import part_of

# Lists are entered: only what is in them matters here.
LISTS: Final = frozenset({b"RIFF", b"LIST"})
VIDEO_KINDS: Final = frozenset({b"db", b"dc"})
# More than the chunks of a pause that a capture may have, with the audio between them.
MAX_CHUNKS: Final = 100_000


def count_null_frames(path: Path, position: int, stream_index: int) -> int:
    """Return how many empty video chunks of a stream follow the chunk whose header or content is at a byte position."""
    part = part_of(path)
    with path.open("rb") as stream:
        position = _start_of_chunk(stream, position + (part.start if part else 0), stream_index)
        count = 0
        for number in range(MAX_CHUNKS):
            stream.seek(position)
            header = stream.read(12)
            kind, size = header[:4], int.from_bytes(header[4:8], "little")
            # The last is a recording that was joined to this one.
            if len(header) < 8 or kind == b"idx1" or (kind == b"RIFF" and header[8:] == b"AVI "):
                break
            if number and not size:
                count += _is_video(kind, stream_index)
            position += 12 if kind in LISTS else 8 + size + size % 2
        return count


def _start_of_chunk(stream: IO[bytes], position: int, stream_index: int) -> int:
    """Return where the header of a chunk is: libavformat names its content where it has read the index."""
    for start in (position, position - 8):
        stream.seek(max(start, 0))
        if _is_video(stream.read(4), stream_index):
            return start
    return position


def _is_video(kind: bytes, stream_index: int) -> bool:
    return kind[:2] == b"%02d" % stream_index and kind[2:] in VIDEO_KINDS

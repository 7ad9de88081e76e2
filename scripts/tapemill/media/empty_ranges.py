"""Ranges of zeros in a file, found by samples: what an unfinished copy or recording leaves where content belongs.

A demuxer reads on through zeros to find the next frame, for minutes or hours in a large file. A few samples show them
at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO

BLOCK_BYTES = 1 << 16
# Enough samples to find every range of 2 % of a file; in small files one for each 16 MiB.
MAX_SAMPLES = 64
SAMPLE_DISTANCE_BYTES = 1 << 24
# Longer than a raw black frame with its silence, and than the padding of any container.
MIN_RANGE_BYTES = 1 << 25
# At the beginning and the end only padding is expected.
MIN_EDGE_BYTES = 1 << 20


@dataclass(frozen=True)
class EmptyRange:
    """Bytes [start, stop) of a file, all of them zeros."""

    start: int
    stop: int


def find_empty_ranges(path: Path, min_end_bytes: int = MIN_EDGE_BYTES) -> tuple[EmptyRange, ...]:
    """Return the long ranges of zeros of a file, in order. Reads about 64 blocks, and up to 32 MiB of each range.

    `min_end_bytes` is the size from which a range at the end counts; one of less than a block is never found.
    """
    size = path.stat().st_size
    last = size - BLOCK_BYTES
    if last <= 0:
        return ()
    count = min(MAX_SAMPLES, last // SAMPLE_DISTANCE_BYTES + 2)
    positions = [last * sample // (count - 1) for sample in range(count)]
    with path.open("rb") as stream:
        samples = {position: _is_empty(stream, position, BLOCK_BYTES) for position in positions}
        groups = [(is_empty, list(group)) for is_empty, group in groupby(positions, samples.__getitem__)]
        found = []
        for index, (is_empty, inside) in enumerate(groups):
            if is_empty:
                start = _start(stream, groups[index - 1][1][-1], inside[0]) if index else 0
                is_last = index + 1 == len(groups)
                stop = size if is_last else _stop(stream, inside[-1], groups[index + 1][1][0])
                found.append(EmptyRange(start, stop))
        return tuple(each for each in found if _is_long(each, size, min_end_bytes) and _is_proven(stream, each))


def begins_empty(path: Path) -> bool:
    """Whether a file begins with 1 MiB of zeros, or is shorter and holds nothing else, as no media file does."""
    size = min(path.stat().st_size, MIN_EDGE_BYTES)
    with path.open("rb") as stream:
        # Almost every file ends the test after the first block.
        return size > 0 and _is_empty(stream, 0, min(4096, size)) and _is_empty(stream, 0, size)


def _is_empty(stream: IO[bytes], position: int, length: int) -> bool:
    stream.seek(position)
    block = stream.read(length)
    return len(block) == length and not block.strip(b"\0")


def _start(stream: IO[bytes], full: int, empty: int) -> int:
    """Return the first byte of the zeros that lead to `empty`, by bisection from a block that is not empty."""
    full, empty = _bisect(stream, full, empty)
    stream.seek(full)
    return full + len(stream.read(empty - full).rstrip(b"\0"))


def _stop(stream: IO[bytes], empty: int, full: int) -> int:
    """Return the end of the zeros from `empty` on."""
    full, empty = _bisect(stream, full, empty)
    stream.seek(empty)
    data = stream.read(full + BLOCK_BYTES - empty)
    return empty + len(data) - len(data.lstrip(b"\0"))


def _bisect(stream: IO[bytes], full: int, empty: int) -> tuple[int, int]:
    """Return the positions of two adjacent blocks, the first not empty, the second empty, on either side."""
    while abs(full - empty) > BLOCK_BYTES:
        middle = (full + empty) // 2
        if _is_empty(stream, middle, BLOCK_BYTES):
            empty = middle
        else:
            full = middle
    return full, empty


def _is_long(found: EmptyRange, size: int, min_end_bytes: int) -> bool:
    least = MIN_RANGE_BYTES
    if found.start == 0:
        least = MIN_EDGE_BYTES
    if found.stop == size:
        least = min_end_bytes
    return found.stop - found.start >= least


def _is_proven(stream: IO[bytes], found: EmptyRange) -> bool:
    """Whether a part of the range, longer than any frame, is empty throughout: samples may miss the heads of frames."""
    length = min(found.stop - found.start, MIN_RANGE_BYTES)
    start = (found.start + found.stop - length) // 2
    return all(
        _is_empty(stream, position, min(MIN_EDGE_BYTES, start + length - position))
        for position in range(start, start + length, MIN_EDGE_BYTES)
    )

"""Damaged media, made from a seed out of small whole files: the same seed gives the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tapemill.media.ffmpeg import runner as ffmpeg

SIZE, RATE, SECONDS = "64x48", 25, 1.2
# Name, encoders, muxer. The kinds of file that captures come in, with codecs of their time.
KINDS = (
    ("ffv1.mkv", ("-c:v", "ffv1", "-g", "1", "-c:a", "flac"), "matroska"),
    ("h264.mp4", ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac"), "mp4"),
    ("mjpeg.avi", ("-c:v", "mjpeg", "-q:v", "4", "-c:a", "pcm_s16le"), "avi"),
    ("mpeg2.ts", ("-c:v", "mpeg2video", "-b:v", "900k", "-c:a", "mp2"), "mpegts"),
    ("mpeg2.mpg", ("-c:v", "mpeg2video", "-b:v", "900k", "-c:a", "mp2"), "vob"),
    ("vp8.webm", ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"), "webm"),
    ("prores.mov", ("-c:v", "prores_ks", "-c:a", "pcm_s16le"), "mov"),
    ("wmv2.wmv", ("-c:v", "wmv2", "-b:v", "400k", "-c:a", "wmav2"), "asf"),
    ("theora.ogv", ("-c:v", "libtheora", "-c:a", "libvorbis"), "ogg"),
    ("mpeg4.avi", ("-c:v", "mpeg4", "-b:v", "400k", "-c:a", "libmp3lame"), "avi"),
    ("h264.flv", ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-ar", "44100"), "flv"),
    ("mpeg2.mxf", ("-c:v", "mpeg2video", "-b:v", "900k", "-c:a", "pcm_s16le"), "mxf"),
    ("raw.y4m", ("-an", "-pix_fmt", "yuv420p"), "yuv4mpegpipe"),
)
SUFFIXES = tuple(Path(name).suffix for name, *_ in KINDS)
# Where length, time scale, size and offset of samples stand in an MP4 or MOV file.
BOXES = (b"tkhd", b"mvhd", b"mdhd", b"stts", b"stsz", b"stsc", b"stco", b"stsd", b"elst", b"ctts", b"stss", b"moov")
CLUSTER = b"\x1f\x43\xb6\x75"
EXTREMES = (0, 1, 2, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TS_PACKET = 188


@dataclass(frozen=True)
class Damaged:
    """One input: a file name and its bytes."""

    name: str
    data: bytes
    how: str
    """What was done to which file, for messages."""


def whole_files(folder: Path) -> dict[str, bytes]:
    """One small file of each kind: moving picture, a tone."""
    made = {}
    for name, encoders, muxer in KINDS:
        path = folder / name
        graphs = [f"testsrc2=size={SIZE}:rate={RATE}:duration={SECONDS}", f"sine=sample_rate=48000:duration={SECONDS}"]
        sources = [word for graph in graphs for word in ("-f", "lavfi", "-i", graph)]
        arguments = [*sources, *encoders, "-ac", "1", *ffmpeg.BITEXACT, *ffmpeg.output_args(path, muxer)]
        ffmpeg.run(arguments, concerns=path, timeout_s=60)
        made[name] = path.read_bytes()
    return made


def inputs(files: dict[str, bytes], *, count: int, seed: int) -> Iterator[Damaged]:
    """`count` damaged files: every kind of damage to every file in turn, places and amounts by chance."""
    names, ways = sorted(files), list(WAYS)
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        turn, place = divmod(number, len(ways))
        way = ways[place]
        # Another file each time, and every pair once in a while.
        name = names[(turn + place) % len(names)]
        other = chance.choice(names)
        data, suffix = bytearray(files[name]), Path(name).suffix
        if way == "other suffix":
            suffix = chance.choice([s for s in SUFFIXES if s != suffix])
        data = WAYS[way](data, chance, files[other])
        how = f"{name}, {way}" + (f" with {other}" if way in ("spliced", "inserted") else "")
        yield Damaged(f"{number:04d}{suffix}", bytes(data), how)


def _place(data: Sequence[int], chance: random.Random) -> int:
    """Anywhere, or half of the times near the beginning, where the headers are."""
    return chance.randrange(min(len(data), 1024) if chance.random() < 0.5 else len(data))


def _run(data: bytearray, chance: random.Random, length: float = 0.25) -> slice:
    start = _place(data, chance)
    return slice(start, start + 1 + int(len(data) * length * chance.random() ** 2))


def truncated(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Cut off the end."""
    return data[: _place(data, chance)] if chance.random() < 0.3 else data[: int(len(data) * chance.uniform(0.3, 1))]


def flipped(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Flip single bits."""
    for _ in range(chance.choice((1, 1, 2, 5, 20, len(data) // 500 + 1))):
        data[_place(data, chance)] ^= 1 << chance.randrange(8)
    return data


def overwritten(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Overwrite a stretch with zeros, ones or noise."""
    run = _run(data, chance)
    length = len(data[run])
    data[run] = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length)))
    return data


def doubled(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Repeat everything, or a stretch."""
    if chance.random() < 0.25:
        return data + data
    run = _run(data, chance)
    data[run.stop : run.stop] = data[run]
    return data


def removed(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Remove a stretch."""
    del data[_run(data, chance)]
    return data


def inserted(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Insert noise, or a stretch of another file."""
    place = _place(data, chance)
    data[place:place] = other[_run(bytearray(other), chance)] if chance.random() < 0.5 else chance.randbytes(500)
    return data


def spliced(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Join the beginning of the file with the end of another."""
    share = chance.random()
    return data[: int(len(data) * share)] + other[int(len(other) * share) :]


def shuffled(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Whole parts of the container in another order, one of them perhaps twice, another gone."""
    edges = [0, *_edges(data), len(data)]
    parts = [data[start:stop] for start, stop in pairwise(edges)]
    first, second = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[first], parts[second] = parts[second], parts[first]
    if chance.random() < 0.3:
        parts.insert(first, parts[second])
    if chance.random() < 0.3:
        del parts[second]
    return bytearray().join(parts)


def _edges(data: bytearray) -> list[int]:
    """Where parts of the container begin, other than at 0."""
    if bytes(data[4:8]) in (b"ftyp", b"wide"):
        found, place = [], 0
        while (place := place + int.from_bytes(data[place : place + 4], "big")) < len(data) and place not in found:
            found.append(place)
        return found
    for mark in (CLUSTER, b"00dc", b"\0\0\x01\xba", b"OggS", b"FRAME\n", b"\0\0\x01\0"):
        found = [place for place in range(1, len(data)) if data.startswith(mark, place)]
        if len(found) > 1:
            return found
    step = TS_PACKET if data[0] == 0x47 else max(1, len(data) // 12)
    return list(range(step, len(data), step))


def absurd(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """A number of a header becomes one that cannot be."""
    boxes = [data.find(box) for box in BOXES if box in data]
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.choice(boxes) + chance.randrange(-4, 40) if boxes else chance.randrange(min(len(data), 600))
        width = chance.choice((1, 2, 4, 4, 8))
        value = chance.choice(EXTREMES) & ((1 << 8 * width) - 1)
        data[max(place, 0) : max(place, 0) + width] = value.to_bytes(width, chance.choice(("big", "little")))
    return data


def untouched(data: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Leave everything as it is."""
    return data


WAYS: dict[str, Callable[[bytearray, random.Random, bytes], bytearray]] = {
    "truncated": truncated,
    "flipped": flipped,
    "overwritten": overwritten,
    "doubled": doubled,
    "removed": removed,
    "inserted": inserted,
    "spliced": spliced,
    "shuffled": shuffled,
    "absurd header": absurd,
    "absurd numbers": absurd,
    "other suffix": untouched,
}

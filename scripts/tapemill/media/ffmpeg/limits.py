"""Time and size limits of a media tool's run, computed from its work: a constant would stop long tapes, or none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

# No tape has larger frames (8K television has half of it); a forged header must not exhaust the memory.
MAX_SIDE = 8192
MAX_PIXELS = MAX_SIDE * MAX_SIDE

# Decoding begins at a key frame. Captures with fewer of them are refused: every scene would waste that much decoding.
MAX_KEYFRAME_DISTANCE_S = 300

START_UP_S = 60.0
# A network share, or a disk that several jobs read: a file without an index is read from its beginning.
READ_BYTES_PER_S = 20_000_000
# Luma samples per second of a busy core of an old machine: a twentieth of the usual, for the heaviest codecs.
DECODED_SAMPLES_PER_S = 2_500_000
ENCODED_SAMPLES_PER_S = 400_000
# Smaller frames cost as much as a frame of this size.
MIN_SAMPLES = 10_000

# Upper bound per sample: four planes of two bytes, and the overhead of a lossless codec on pure noise.
BYTES_PER_SAMPLE = 10
CONTAINER_BYTES = 16_000_000


def timeout_s(
    *, reads: Iterable[Path] = (), samples: int = 0, decoded: float = 0, encoded: float = 0, seconds: float = 0
) -> float:
    """Return the seconds after which an ffmpeg run is considered hung.

    `reads` are files that may be read completely. `decoded` and `encoded` are numbers of frames of `samples` each;
    `seconds` is the time of other work.
    """
    each = max(samples, MIN_SAMPLES)
    # A missing file is reported by the tool that reads it.
    read_bytes = sum(path.stat().st_size for path in reads if path.exists())
    work_s = each * (decoded / DECODED_SAMPLES_PER_S + encoded / ENCODED_SAMPLES_PER_S)
    return START_UP_S + read_bytes / READ_BYTES_PER_S + work_s + seconds


def max_output_bytes(*, pictures: int = 0, samples: int = 0, sound_bytes: int = 0) -> int:
    """Return the size beyond which an output is an error: raw frames of `samples` each, raw audio, and a container."""
    return pictures * max(samples, MIN_SAMPLES) * BYTES_PER_SAMPLE + 2 * sound_bytes + CONTAINER_BYTES

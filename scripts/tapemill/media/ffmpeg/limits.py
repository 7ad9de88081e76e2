"""What a run of a media tool may take, from the work it has to do: a constant stops long tapes, or never stops any."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

# Larger pictures are no tape (8K television has half of it); a forged header must not take the machine's memory.
MAX_SIDE = 8192
MAX_PIXELS = MAX_SIDE * MAX_SIDE

# Decoding begins at a key frame. Captures with fewer of them are refused: every scene would cost so much in vain.
MAX_KEYFRAME_DISTANCE_S = 300

START_UP_S = 60.0
# A network share, or a disk that several jobs read: a file without an index is read from its beginning.
READ_BYTES_PER_S = 20_000_000
# Samples of luma that a busy core of an old machine manages: a twentieth of what is usual, for the heaviest codecs.
DECODED_SAMPLES_PER_S = 2_500_000
ENCODED_SAMPLES_PER_S = 400_000
# Below this size a picture costs what any picture costs.
MIN_SAMPLES = 10_000

# The most that a picture can need: four planes of two bytes, and what a lossless codec adds to pure noise.
BYTES_PER_SAMPLE = 10
CONTAINER_BYTES = 16_000_000


def timeout_s(
    *, reads: Iterable[Path] = (), samples: int = 0, decoded: float = 0, encoded: float = 0, seconds: float = 0
) -> float:
    """Seconds after which ffmpeg hangs rather than works.

    All of the files `reads` may have to be read. `decoded` and `encoded` count pictures of so many `samples` each;
    `seconds` is other work.
    """
    each = max(samples, MIN_SAMPLES)
    # One that is missing is for the tool that reads it to tell.
    read_bytes = sum(path.stat().st_size for path in reads if path.exists())
    work_s = each * (decoded / DECODED_SAMPLES_PER_S + encoded / ENCODED_SAMPLES_PER_S)
    return START_UP_S + read_bytes / READ_BYTES_PER_S + work_s + seconds


def max_output_bytes(*, pictures: int = 0, samples: int = 0, sound_bytes: int = 0) -> int:
    """Size beyond which an output is a fault: raw pictures of so many samples, raw sound, and room for a container."""
    return pictures * max(samples, MIN_SAMPLES) * BYTES_PER_SAMPLE + 2 * sound_bytes + CONTAINER_BYTES

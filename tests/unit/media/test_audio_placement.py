"""One placement of audio samples: recognition, cut scenes and the tape's track hear a sound at the same time."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tapemill.audio.timeline import decode_to_timeline
from tapemill.media.audio_samples import read_samples
from tests.support.capture_info import capture_of, from_zero

RATE_HZ, BLOCK, BLOCKS = 48_000, 960, 100


def capture_with_stamps(path, offsets_ms):
    """Write a capture of 2 s, FLAC and video, whose audio blocks of 20 ms are off by `offsets_ms` (block → ms)."""
    samples = (np.random.default_rng(5).uniform(-0.4, 0.4, (1, BLOCK * BLOCKS)) * 2**15).astype(np.int16)
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("ffv1", rate=25, width=64, height=48, pix_fmt="yuv420p")
        audio = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for number in range(50):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            container.mux(video.encode(frame))
        for number in range(BLOCKS):
            block = av.AudioFrame.from_ndarray(samples[:, number * BLOCK : (number + 1) * BLOCK], "s16", "mono")
            block.sample_rate = RATE_HZ
            block.time_base = Fraction(1, RATE_HZ)
            block.pts = number * BLOCK
            for packet in audio.encode(block):
                shift = offsets_ms.get(number, 0) * RATE_HZ // 1000
                packet.pts = packet.dts = packet.pts + shift
                container.mux(packet)
    return samples[0]


@pytest.mark.parametrize(
    ("offsets_ms", "gap_at_block"),
    [
        ({}, None),
        # Jitter of a capture program, more than 5 ms.
        ({number: 8 if number % 2 else 0 for number in range(1, BLOCKS)}, None),
        # One wrong time stamp.
        ({50: 19}, None),
        # A real gap of 100 ms.
        (dict.fromkeys(range(50, BLOCKS), 100), 50),
    ],
    ids=["regular", "jitter", "one wrong stamp", "gap"],
)
def test_recognition_and_tape_place_samples_alike(tmp_path, offsets_ms, gap_at_block):
    source, raw = tmp_path / "a.mkv", tmp_path / "a.raw"
    samples = capture_with_stamps(source, offsets_ms)
    expected = samples
    if gap_at_block:
        silence = np.zeros(RATE_HZ // 10, dtype=np.int16)
        expected = np.concatenate([samples[: gap_at_block * BLOCK], silence, samples[gap_at_block * BLOCK :]])
    found = capture_of(source)
    (track,) = decode_to_timeline(
        sources=[source], takes=found.takes, sounds=found.sounds, paths=[raw], reached_s=lambda seconds: None
    )
    heard = read_samples(source, 1, clock=from_zero(), first=0, count=len(expected))
    np.testing.assert_array_equal(track.samples()[:, 0], expected)
    np.testing.assert_array_equal(np.rint(heard[0] * 2**15).astype(np.int16), expected)

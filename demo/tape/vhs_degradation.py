"""Degradation of frames by a worn VHS tape and its deck, in the order of the signal path.

Frames are woven from two fields of 288 lines. What happens along a line is done to both fields at once, since lines do
not touch each other; what passes from line to line passes within a field, that is by steps of two rows.
Samples are whole numbers in float32, eight steps to one of 8 bits, so that sums are exact (see `paint`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from . import drawing, storyboard
from .drawing import Picture

STEPS = 8
"""Steps of a sample to one of 8 bits."""
UNIT = 256
"""Sum of the weights of a filter."""

LUMA_BANDWIDTH_HZ = 2_800_000
LUMA_RATE_HZ = 13_500_000
CHROMA_BANDWIDTH_HZ = 550_000
CHROMA_DELAY_SAMPLES = 2
"""Delay of chroma in samples of 4:2:2 chroma: four of luma."""

LUMA_NOISE, LUMA_GRAIN = 9.0, 3.0
CHROMA_NOISE, CHROMA_GRAIN = 9.0, 8.0
"""Effective values in steps of 8 bits, and the width of a grain in samples."""
JITTER_SHARE = 8
"""Unsteadiness of the line starts: how many 1/32 samples go to one unit of the random walk."""
DROPOUTS = 1.5
"""Mean number of dropouts in a frame."""
POOL_MARGIN = 400
"""Noise is taken from a field this much larger than a frame, at random places."""


@dataclass(frozen=True)
class Wear:
    """Wear of a tape and properties of its deck; the defaults are the demo tape's."""

    luma_bandwidth_hz: int = LUMA_BANDWIDTH_HZ
    chroma_bandwidth_hz: int = CHROMA_BANDWIDTH_HZ
    chroma_delay_samples: int = CHROMA_DELAY_SAMPLES
    """Of 4:2:2 chroma."""
    delay_line: bool = True
    """Whether colour is averaged over neighbouring lines, one line late."""
    luma_noise: float = LUMA_NOISE
    """Effective value in steps of 8 bits."""
    chroma_noise: float = CHROMA_NOISE
    jitter_share: int = JITTER_SHARE
    dropouts: float = DROPOUTS


# At half the sampling rate the low pass lets everything through; a bell does so only far above it.
UNWORN = Wear(
    luma_bandwidth_hz=LUMA_RATE_HZ // 2,
    chroma_bandwidth_hz=10 * LUMA_RATE_HZ,
    chroma_delay_samples=0,
    delay_line=False,
    luma_noise=0,
    chroma_noise=0,
    jitter_share=0,
    dropouts=0,
)
"""A tape without degradation but head-switching lines and 4:2:2 chroma."""


@dataclass(frozen=True)
class Capture:
    """One captured frame in 4:2:2, uint8."""

    luma: np.ndarray
    """shape = (576, 720)."""
    chroma: np.ndarray
    """Cb, Cr: shape = (576, 360, 2)."""

    def planes(self) -> bytes:
        """As raw yuv422p."""
        return self.luma.tobytes() + self.chroma[:, :, 0].tobytes() + self.chroma[:, :, 1].tobytes()


class VhsTape:
    """VHS tape that plays the same frame in the same way each time. Thread-safe."""

    def __init__(self, seed: int, wear: Wear | None = None) -> None:
        """Make the noise that frames are given pieces of."""
        self._seed, self._wear = seed, (wear := wear or Wear())
        rng = np.random.default_rng(seed)
        height, width = storyboard.HEIGHT + POOL_MARGIN, storyboard.WIDTH + POOL_MARGIN
        self._luma_noise = _noise(rng, (height, width), _bell(LUMA_GRAIN, 9), wear.luma_noise)
        # The delay line averages chroma noise too: of its power 0.375 is left.
        level = wear.chroma_noise / (np.sqrt(0.375) if wear.delay_line else 1)
        sides = [_noise(rng, (height, width // 2 + POOL_MARGIN), _bell(CHROMA_GRAIN, 24), level) for _ in (0, 1)]
        self._chroma_noise = self._delayed(np.stack(sides, axis=2))
        self._luma_filter = _low_pass(wear.luma_bandwidth_hz / LUMA_RATE_HZ, 6)
        # A bell falls to -3 dB at 0.1325 / sigma cycles a sample.
        sigma = 0.1325 / (wear.chroma_bandwidth_hz / (LUMA_RATE_HZ / 2))
        self._chroma_filter = _bell(sigma, 6, wear.chroma_delay_samples)

    def _delayed(self, chroma: np.ndarray) -> np.ndarray:
        return _down_one_line(chroma) if self._wear.delay_line else chroma

    def play(self, frame: int, top: Picture, bottom: Picture) -> Capture:
        """The captured frame of two truth pictures, of which each gives one field."""
        rng = np.random.default_rng((self._seed, frame))
        woven = top.copy()
        woven[1::2] = bottom[1::2]
        luma = _along(woven[:, :, 0].astype(np.float32) * STEPS, self._luma_filter)
        pairs = woven[:, 0::2, 1:].astype(np.float32) + woven[:, 1::2, 1:]
        chroma = self._delayed(_along(pairs * (STEPS // 2), self._chroma_filter))
        luma += _piece(self._luma_noise, rng, storyboard.WIDTH)
        chroma += _piece(self._chroma_noise, rng, storyboard.WIDTH // 2)
        _drop_out(luma, rng, self._wear.dropouts)
        steps = _jitter(rng, self._wear.jitter_share)
        _switch_heads(luma, chroma, steps, rng)
        return Capture(
            _eight_bits(drawing.shift_rows(luma, steps)), _eight_bits(drawing.shift_rows(chroma, steps >> 1))
        )


def _low_pass(cutoff: float, reach: int) -> np.ndarray:
    """A filter cut off at so many cycles a sample; being short, it rings a little. shape = (2 reach + 1,)."""
    taps = np.sinc(2 * cutoff * np.arange(-reach, reach + 1)) * np.hamming(4 * reach + 1)[reach:-reach]
    return _whole(taps)


def _bell(sigma: float, reach: int, delay: int = 0) -> np.ndarray:
    """A filter without overshoot that also delays. shape = (2 reach + 1,)."""
    # cv2.filter2D correlates: what lies to the left of the centre arrives later.
    places = np.arange(-reach, reach + 1) + delay
    return _whole(np.exp(-0.5 * (places / sigma) ** 2), reach - delay)


def _whole(taps: np.ndarray, centre: int | None = None) -> np.ndarray:
    """Taps as whole numbers whose sum is UNIT; the centre takes up what rounding leaves."""
    weights = np.rint(taps / taps.sum() * UNIT)
    weights[len(taps) // 2 if centre is None else centre] += UNIT - weights.sum()
    return np.asarray(weights, np.float32)


def _along(samples: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Filter along the lines and round. shape as given."""
    sums = cv2.filter2D(samples, cv2.CV_32F, weights[None, :], borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.rint(sums / UNIT))


def _down_one_line(chroma: np.ndarray) -> np.ndarray:
    """Average neighbouring lines of a field, as a PAL delay line does, one line late. shape as given."""
    padded = np.concatenate([chroma[:2], chroma[:2], chroma])
    rows = len(chroma)
    return np.asarray(np.rint((padded[:rows] + 2 * padded[2 : rows + 2] + padded[4:]) / 4))


def _noise(rng: np.random.Generator, shape: tuple[int, int], weights: np.ndarray, level: float) -> np.ndarray:
    """Bell-shaped noise, filtered along the lines. shape as asked, float32 in steps."""
    # The sum of four even ones is near enough to a bell and exact on every machine; its variance is 4 * 256² / 12.
    raw = sum(rng.integers(-128, 128, shape, dtype=np.int8).astype(np.float32) for _ in range(4))
    loss = float(np.sqrt(((weights / UNIT) ** 2).sum()))
    share = round(level * STEPS / (256 / np.sqrt(3)) / loss * 4096)
    return np.asarray(np.rint(np.floor(_along(np.asarray(raw), weights)) * share / 4096).astype(np.float32))


def _piece(pool: np.ndarray, rng: np.random.Generator, width: int) -> np.ndarray:
    """A frame's worth of noise from a random place, one in two mirrored."""
    y, x = int(rng.integers(0, len(pool) - storyboard.HEIGHT)), int(rng.integers(0, pool.shape[1] - width))
    piece = pool[y : y + storyboard.HEIGHT, x : x + width]
    return piece[:, ::-1] if rng.integers(0, 2) else piece


def _jitter(rng: np.random.Generator, share: int = JITTER_SHARE) -> np.ndarray:
    """How late each line starts, in 1/32 samples; neighbours in a field wander together. shape = (576,), int."""
    steps = np.zeros(storyboard.HEIGHT, np.int64)
    if not share:
        return steps
    for field in (0, 1):
        raw = rng.integers(-8, 9, storyboard.HEIGHT // 2 + 8)
        sums = np.cumsum(raw)
        steps[field::2] = (sums[8:] - sums[:-8]) * share // 16 + int(rng.integers(-3, 4))
    return steps


def _drop_out(luma: np.ndarray, rng: np.random.Generator, mean: float) -> None:
    """Short bright streaks where the tape has lost its coating."""
    for _ in range(int(rng.poisson(mean))):
        row, left = int(rng.integers(0, storyboard.HEIGHT)), int(rng.integers(0, storyboard.WIDTH - 60))
        length = int(rng.integers(12, 110))
        streak = luma[row, left : left + length]
        streak += rng.integers(300, 1100, len(streak)) * np.linspace(256, 60, len(streak)).astype(int) // 256


def _switch_heads(luma: np.ndarray, chroma: np.ndarray, steps: np.ndarray, rng: np.random.Generator) -> None:
    """The lowest lines: torn sideways more and more, then mostly noise."""
    lines = storyboard.HEAD_SWITCHING_LINES
    torn = int(rng.integers(30, 50))
    for line in range(lines):
        row = storyboard.HEIGHT - lines + line
        steps[row] += drawing.MAP_STEPS * (torn + 6 * line + int(rng.integers(-4, 5)))
        rough = 40 + 50 * line
        luma[row] += rng.integers(-rough, rough + 1, storyboard.WIDTH)
        chroma[row] += rng.integers(-rough // 3, rough // 3 + 1, (1, 2))


def _eight_bits(samples: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(samples / STEPS), 1, 254).astype(np.uint8))

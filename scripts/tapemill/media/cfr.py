"""Constant-frame-rate timeline of a capture: its rate, and the frame index of each packet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tapemill.core.timing import round_half_up

# Packets may deviate by this part of a frame (millisecond containers, capture jitter) and still count as regular.
JITTER_FRAMES = Fraction(1, 4)

# At a variable rate, this share of the packets has to be kept.
MIN_KEPT_SHARE = 0.995
USUAL_RATES = (
    *(Fraction(15), Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30)),
    *(Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60)),
)


@dataclass(frozen=True)
class CfrGrid:
    """Constant-frame-rate grid fitted to the time stamps of a capture.

    Frame k shows the last packet whose time stamp rounds to index k or an earlier one. A regular capture has one packet
    per index; gaps become repeated frames, of several packets with one index only the last is kept.
    """

    rate: Fraction
    start_pts: int
    """Time stamp of frame 0 in units of `time_base`."""
    time_base: Fraction
    frames: int
    packets: int
    duplicates: int
    drops: int
    irregular: bool
    """Whether some packet deviates from its index by more than jitter, that is: the rate is variable."""

    @property
    def start_s(self) -> Fraction:
        """Start of frame 0 on the file's clock, in seconds."""
        return self.start_pts * self.time_base


def fit_cfr_grid(times: np.ndarray, last_duration: int, time_base: Fraction, rate: Fraction) -> CfrGrid:
    """Fit time stamps, shape = (packets,), to a constant-rate grid; `frame_indices` maps packets to its frames."""
    start = int(times[0])
    indices = frame_indices(times, start, time_base, rate)
    distinct = np.unique(indices)
    last = int(distinct[-1])
    tail = max(1, round_half_up(last_duration * time_base * rate))
    exact = (times - start).astype(np.float64) * float(time_base * rate)
    # The time base of a container may be coarse compared with a frame; its rounding is no irregularity.
    tolerance = float(max(JITTER_FRAMES, time_base * rate))
    steps = np.diff(indices)
    irregular = bool(np.any(np.abs(exact - indices) > tolerance) or np.any(steps != 1))
    frames = last + (tail if irregular else 1)
    return CfrGrid(
        rate=rate,
        start_pts=start,
        time_base=time_base,
        frames=frames,
        packets=len(times),
        duplicates=frames - len(distinct),
        drops=len(times) - len(distinct),
        irregular=irregular,
    )


def frame_indices(times: np.ndarray, start: int, time_base: Fraction, rate: Fraction) -> np.ndarray:
    """Return the frame index of each time stamp: nearest, halves up, in exact integers. shape = (packets,), int64."""
    step = time_base * rate
    return (2 * (times - start) * step.numerator + step.denominator) // (2 * step.denominator)


def guess_frame_rate(times: np.ndarray, time_base: Fraction, stated: Sequence[Fraction]) -> Fraction:
    """Return the constant rate that fits these time stamps best.

    The first of the `stated` rates under which every packet has its own index; if there is none the capture's rate is
    variable, and the lowest usual rate is taken that drops at most one frame in 200, so that the difference becomes
    repeated rather than dropped frames.
    """
    for rate in stated:
        if not fit_cfr_grid(times, 0, time_base, rate).irregular:
            return rate
    distinct = np.unique(times)
    if len(distinct) < 3:
        return stated[0]
    # In a damaged capture most time stamps may be equal.
    step = float(np.median(np.diff(times))) or float(np.median(np.diff(distinct)))
    typical = 1 / (step * float(time_base))
    kept = {rate: len(np.unique(frame_indices(times, int(times[0]), time_base, rate))) for rate in USUAL_RATES}
    for rate in USUAL_RATES:
        if rate >= typical * 0.98 and kept[rate] >= MIN_KEPT_SHARE * len(times):
            return rate
    # Never the container's claim: for a variable rate that may be its clock, tens of thousands per second.
    return max(USUAL_RATES, key=lambda rate: kept[rate])

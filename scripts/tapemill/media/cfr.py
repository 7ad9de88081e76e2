"""The constant-rate frame grid that a capture is laid on by its time stamps: at which rate, which frame where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tapemill.core.timing import round_half_up

# Packets may be off the grid by this part of a frame (millisecond containers, capture jitter) and still be regular.
JITTER_FRAMES = Fraction(1, 4)

# Of a variable rate, so many of the packets have to survive on the grid.
MIN_KEPT_SHARE = 0.995
USUAL_RATES = (
    *(Fraction(15), Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30)),
    *(Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60)),
)


@dataclass(frozen=True)
class CfrGrid:
    """The constant-rate frame grid that a capture's own time stamps are laid on.

    Frame k of the grid shows the last packet whose time stamp rounds to tick k or an earlier one. A regular capture has
    one packet a tick; gaps become repeated frames, crowded ticks lose all but their last frame.
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
    """Whether some packet is off its tick by more than jitter, that is: the rate is variable."""

    @property
    def start_s(self) -> Fraction:
        """Where frame 0 begins on the file's clock, in seconds."""
        return self.start_pts * self.time_base


def fit_cfr_grid(times: np.ndarray, last_duration: int, time_base: Fraction, rate: Fraction) -> CfrGrid:
    """Lay time stamps on a constant-rate grid; `frame_indices` says which frame each packet gets."""
    start = int(times[0])
    grid_ticks = frame_indices(times, start, time_base, rate)
    distinct = np.unique(grid_ticks)
    last = int(distinct[-1])
    tail = max(1, round_half_up(last_duration * time_base * rate))
    exact = (times - start).astype(np.float64) * float(time_base * rate)
    # Containers count in units that may be coarse against a frame; their rounding is no irregularity.
    tolerance = float(max(JITTER_FRAMES, time_base * rate))
    steps = np.diff(grid_ticks)
    irregular = bool(np.any(np.abs(exact - grid_ticks) > tolerance) or np.any(steps != 1))
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
    """The grid frame of each time stamp: nearest, halves up, in exact integer arithmetic. shape = (packets,), int64."""
    step = time_base * rate
    return (2 * (times - start) * step.numerator + step.denominator) // (2 * step.denominator)


def guess_frame_rate(times: np.ndarray, time_base: Fraction, stated: Sequence[Fraction]) -> Fraction:
    """The constant rate that serves these time stamps best.

    The first of the `stated` rates under which every packet has its own tick; if there is none the capture's rate is
    variable, and the lowest usual rate is taken that drops at most one frame in 200, so that repeats rather than
    losses make up for the difference.
    """
    for rate in stated:
        if not fit_cfr_grid(times, 0, time_base, rate).irregular:
            return rate
    distinct = np.unique(times)
    if len(distinct) < 3:
        return stated[0]
    # Of a damaged capture most time stamps may be the same.
    step = float(np.median(np.diff(times))) or float(np.median(np.diff(distinct)))
    typical = 1 / (step * float(time_base))
    kept = {rate: len(np.unique(frame_indices(times, int(times[0]), time_base, rate))) for rate in USUAL_RATES}
    for rate in USUAL_RATES:
        if rate >= typical * 0.98 and kept[rate] >= MIN_KEPT_SHARE * len(times):
            return rate
    # Never the container's claim: of a variable rate that may be its clock, tens of thousands a second.
    return max(USUAL_RATES, key=lambda rate: kept[rate])

"""Frame rate of a capture, from its time stamps and what its container states."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from .cfr import change_count, frame_indices, is_irregular, track_rate
from .tracking import MAX_DRIFT

# At a variable rate, this share of the packets has to be kept.
MIN_KEPT_SHARE = 0.995
USUAL_RATES = (
    *(Fraction(15), Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30)),
    *(Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60)),
)
# Denominators of rates that equipment has, such as 12.5 and 120000/1001; a header's rate is rounded to this part.
EXACT_DENOMINATORS, ROUNDED_RATE = (1, 2, 4), 20e-6


def guess_frame_rate(times: np.ndarray, time_base: Fraction, stated: Sequence[Fraction]) -> Fraction:
    """Return the constant rate that explains these time stamps with the fewest repeated and dropped frames.

    The first of the `stated` rates under which every packet has its own index; else the best of the stated and the
    usual ones, with the recorder's clock tracked. If there is no such clock the capture's rate is variable, and the
    lowest usual rate is taken that drops at most one frame in 200, so that the difference becomes repeated rather than
    dropped frames.
    """
    for rate in stated:
        indices = frame_indices(times, int(times[0]), time_base, rate)
        if _is_exact(rate, time_base) and not is_irregular(times, indices, time_base, rate):
            return rate
    distinct = np.unique(times)
    if len(distinct) < 3:
        return stated[0]
    best = _tracked_rate(times, time_base, stated)
    if best is not None:
        return best
    # In a damaged capture most time stamps may be equal.
    step = float(np.median(np.diff(times))) or float(np.median(np.diff(distinct)))
    typical = 1 / (step * float(time_base))
    kept = {rate: len(np.unique(frame_indices(times, int(times[0]), time_base, rate))) for rate in USUAL_RATES}
    for rate in USUAL_RATES:
        if rate >= typical * 0.98 and kept[rate] >= MIN_KEPT_SHARE * len(times):
            return rate
    # Never the container's claim: for a variable rate that may be its clock, tens of thousands per second.
    return max(USUAL_RATES, key=lambda rate: kept[rate])


def _is_exact(rate: Fraction, time_base: Fraction) -> bool:
    """Whether a stated rate is one that equipment has, and not the average of a clock that jitters and runs off."""
    if rate.denominator in EXACT_DENOMINATORS or (rate * Fraction(1001, 1000)).denominator in EXACT_DENOMINATORS:
        return True
    # Headers round: 33,367 microseconds are a frame of NTSC.
    ticks = 1 / (time_base * rate)
    return ticks.denominator == 1 and (ticks == 1 or not _is_near_usual(rate, ROUNDED_RATE))


def _is_near_usual(rate: Fraction, least: float) -> bool:
    return any(least < abs(rate / usual - 1) <= MAX_DRIFT for usual in USUAL_RATES)


def _tracked_rate(times: np.ndarray, time_base: Fraction, stated: Sequence[Fraction]) -> Fraction | None:
    """Return the rate with the fewest repeated and dropped frames; None if no rate explains the time stamps."""
    exact = [rate for rate in stated if _is_exact(rate, time_base)]
    standard = len(set(exact) | set(USUAL_RATES))
    rates = (*exact, *USUAL_RATES, *(rate for rate in stated if not _is_near_usual(rate, 0)))
    best: tuple[int, float, int] | None = None
    found = None
    ranks = {rate: number for number, rate in enumerate(dict.fromkeys(rates))}
    # Repeated less dropped frames: no rate can do with fewer changes. The ends may be jittered by a frame each.
    least = {rate: abs(int(times[-1] - times[0]) * float(time_base * rate) + 1 - len(times)) - 3 for rate in ranks}
    for rate, number in sorted(ranks.items(), key=lambda item: least[item[0]]):
        if best is not None and least[rate] > best[0]:
            continue
        tracked = track_rate(times, time_base, rate)
        if tracked is None:
            continue
        # A rate that no equipment has must explain clearly more.
        handicap = 0 if number < standard else 2 + len(times) // 1000
        order = change_count(tracked.indices) + handicap, tracked.least_drift, number
        if best is None or order < best:
            best, found = order, rate
    return found

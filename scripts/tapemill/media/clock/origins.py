"""Origins of a recorder's clock: where frame 0 would be by the clock as it runs along the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tapemill.storage.typed_json import JsonRecord, optional

from .tracking import TrackedClock

# Packets may deviate by this part of a frame (millisecond containers, capture jitter) and still count as regular.
JITTER_FRAMES = Fraction(1, 4)

# Audio follows a drifting clock in straight parts that are exact to this.
DRIFT_TOLERANCE_S = 0.001
DRIFT_STEP_PACKETS = 250
# Below this, a drift is smaller than what the placement of audio tolerates.
AUDIBLE_DRIFT_S = 0.005


@dataclass(frozen=True)
class ClockOrigin(JsonRecord):
    """Time stamp that frame 0 would have by the clock as it runs at another time stamp."""

    pts: int
    origin_pts: int
    second: bool = optional(False)
    """Whether it holds from the second of two packets with the time stamp `pts` on."""

    @property
    def order(self) -> int:
        """Position among packets, as by `_order`."""
        return 2 * self.pts + self.second


def count_origins(times: np.ndarray, tracked: TrackedClock, time_base: Fraction, rate: Fraction) -> list[ClockOrigin]:
    """Return the fewest origins from which all time stamps round to their indices, each as near to the phase as it can.

    The first time stamp is the first origin if it may be.
    """
    step = time_base * rate
    # An index is right if  index - 1/2 <= (time - origin) * step < index + 1/2.
    half, unit = 2 * tracked.indices, step.denominator
    lowest = times - -(-(half + 1) * unit // (2 * step.numerator)) + 1
    highest = times - -(-(half - 1) * unit // (2 * step.numerator))
    phases = np.round(times[0] + tracked.phase / float(step)).astype(np.int64)
    found = []
    for first, stop, low, high in _stretches(lowest, highest):
        wanted = int(phases[(first + stop) // 2])
        is_start = first == 0 and abs(wanted - int(times[0])) * step <= JITTER_FRAMES
        wanted = int(times[0]) if is_start and low <= times[0] <= high else wanted
        is_second = first > 0 and times[first - 1] == times[first]
        found.append(ClockOrigin(int(times[first]), min(max(wanted, low), high), bool(is_second)))
    return found


def find_drift(
    times: np.ndarray, tracked: TrackedClock, time_base: Fraction, rate: Fraction
) -> tuple[ClockOrigin, ...]:
    """Return the origin along the file as few straight parts; none if it hardly changes."""
    tick_s = float(time_base)
    origins = times[0] + tracked.phase / float(time_base * rate)
    if np.ptp(origins) * tick_s <= AUDIBLE_DRIFT_S:
        return ()
    samples = np.unique(np.append(np.arange(0, len(times), DRIFT_STEP_PACKETS), len(times) - 1))
    pts, values = times[samples].astype(np.float64), origins[samples]
    knots = {0, len(samples) - 1}
    parts = [(0, len(samples) - 1)]
    while parts:
        first, last = parts.pop()
        inside = slice(first, last + 1)
        off = np.abs(values[inside] - np.interp(pts[inside], pts[[first, last]], values[[first, last]]))
        if off.max() * tick_s > DRIFT_TOLERANCE_S:
            middle = first + int(np.argmax(off))
            knots.add(middle)
            parts += [(first, middle), (middle, last)]
    return tuple(ClockOrigin(int(pts[knot]), round(float(values[knot]))) for knot in sorted(knots))


def origin_expression(first: int, changes: Sequence[ClockOrigin]) -> str:
    """Return an expression for the origin at PTS. Halved again and again: ffmpeg evaluates a long sum by recursion."""
    if not changes:
        return str(first)
    middle = len(changes) // 2
    change = changes[middle]
    is_before = f"lt(PTS,{change.pts})"
    if change.second:
        is_before += f"+eq(PTS,{change.pts})*not(eq(PREV_INPTS,PTS))"
    before, after = (
        origin_expression(first, changes[:middle]),
        origin_expression(change.origin_pts, changes[middle + 1 :]),
    )
    return f"if({is_before},{before},{after})"


def _stretches(lowest: np.ndarray, highest: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Yield the longest runs of intervals with a common part: first, stop, and that part, both ends included."""
    first, window = 0, 1024
    while first < len(lowest):
        low = np.maximum.accumulate(lowest[first : first + window])
        high = np.minimum.accumulate(highest[first : first + window])
        apart = np.flatnonzero(low > high)
        if not len(apart) and first + window < len(lowest):
            window *= 2
            continue
        length = int(apart[0]) if len(apart) else len(low)
        yield first, first + length, int(low[length - 1]), int(high[length - 1])
        first, window = first + length, max(1024, 2 * length)

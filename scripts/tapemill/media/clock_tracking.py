"""Tracking of a recorder's clock: the frame index of each time stamp although the clock jitters and runs off.

A recorder stamps frames with a clock of its own, some milliseconds early or late, and some parts in a million fast or
slow against the frames. The phase of the clock against the frames is estimated along the file; a time stamp belongs to
the frame that is nearest by that phase. Where jitter alone puts two time stamps on one frame beside a frame without
one, they are moved apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Frames are exact to this part between two recorders; the rates 24 and 24000/1001 differ by twice as much.
MAX_DRIFT = 500e-6
# Blocks of packets whose phase is estimated first, and how many of them are averaged.
BLOCK_PACKETS, SMOOTHED_BLOCKS = 8, 33
# A time stamp may be this many frames from its frame: at least and at most, and in standard deviations of the jitter.
MIN_REACH, MAX_REACH, REACH_DEVIATIONS = 0.75, 2.0, 3.0
# A frame without a packet that is farther away than this has another cause.
MAX_MOVED_PACKETS = 32
# Only collisions that may come from jitter are moved apart: not those of a wrong rate.
MAX_COLLISIONS = 0.3
DEVIATIONS_OF_DRIFT = 3.0


@dataclass(frozen=True)
class TrackedClock:
    """Frame indices of time stamps by a tracked clock."""

    indices: np.ndarray
    """Frame index of each time stamp, from 0. shape = (packets,), int64."""
    phase: np.ndarray
    """Position of frame 0 in frames from the first time stamp, as the clock runs at each one. shape = (packets,)."""
    drift: float
    """Change of the phase for each frame."""
    drift_error: float
    """Standard deviation of `drift`."""
    agreement: float
    """Mean agreement of neighbouring time stamps on the phase: 1 for a regular clock, near 0 for a variable rate."""

    @property
    def least_drift(self) -> float:
        """The smallest drift that agrees with the time stamps."""
        return max(0.0, abs(self.drift) - DEVIATIONS_OF_DRIFT * self.drift_error)


def track_clock(positions: np.ndarray) -> TrackedClock:
    """Track the clock of sorted time stamps. `positions` are in frames from the first one, shape = (packets,)."""
    phase, agreement = _find_phase(positions)
    # Equal time stamps have one phase, so that they get one index.
    is_new = np.append(True, np.diff(positions) > 0)
    phase = phase[np.maximum.accumulate(np.where(is_new, np.arange(len(positions)), 0))]
    indices = _spread(positions - phase, _may_part(is_new))
    first = int(indices[0])
    indices -= first
    deviations = positions - indices
    return TrackedClock(indices, _smooth(deviations), *_slope(indices, deviations), agreement)


def count_repeats(indices: np.ndarray) -> int:
    """Count frames without a packet between the first and the last."""
    steps = np.diff(indices)
    return int(np.sum(steps[steps > 1] - 1))


def count_drops(indices: np.ndarray) -> int:
    """Count packets whose frame has another one."""
    return int(np.count_nonzero(np.diff(indices) <= 0))


def _find_phase(positions: np.ndarray) -> tuple[np.ndarray, float]:
    """Estimate the phase at each time stamp, modulo one frame, shape = (packets,), and their agreement on it."""
    packets = len(positions)
    starts = np.arange(0, packets, BLOCK_PACKETS)
    counts = np.diff(np.append(starts, packets))
    # On the circle of one frame, gaps and doubled frames make no difference; but strong jitter spreads over all of it.
    by_stamp = np.add.reduceat(np.exp(2j * np.pi * positions), starts)
    # In a block without gaps the mean is exact however strong the jitter.
    means = np.add.reduceat(positions - np.arange(packets), starts) / counts
    by_block = counts * np.exp(2j * np.pi * means)
    window = np.ones(min(SMOOTHED_BLOCKS, 2 * len(starts) - 1))
    total = np.convolve(counts, window, "full")[len(window) // 2 :][: len(starts)]
    smoothed = [np.convolve(sums, window, "full")[len(window) // 2 :][: len(starts)] for sums in (by_stamp, by_block)]
    agreement = np.abs(smoothed) / total
    angles = np.where(agreement[0] >= agreement[1], np.angle(smoothed[0]), np.angle(smoothed[1]))
    centres = starts + (counts - 1) / 2
    phase = np.interp(np.arange(packets), centres, np.unwrap(angles) / (2 * np.pi))
    return phase, float(agreement.max(axis=0).mean())


def _smooth(deviations: np.ndarray) -> np.ndarray:
    """Return the local mean of deviations; at the ends, the line through the last ones. shape = (packets,)."""
    packets = len(deviations)
    half = BLOCK_PACKETS * SMOOTHED_BLOCKS // 2
    numbers = np.arange(packets)
    if packets <= 2 * half:
        slope, _ = _slope(numbers, deviations)
        slope = float(np.clip(slope, -MAX_DRIFT, MAX_DRIFT))
        line: np.ndarray = deviations.mean() + slope * (numbers - numbers.mean())
        return line
    sums = np.concatenate(([0.0], np.cumsum(deviations)))
    width = 2 * half + 1
    inner = (sums[width:] - sums[:-width]) / width
    slope = (inner[-1] - inner[0]) / max(1, len(inner) - 1)
    before = inner[0] - slope * np.arange(half, 0, -1)
    after = inner[-1] + slope * np.arange(1, half + 1)
    return np.concatenate((before, inner, after))


def _slope(numbers: np.ndarray, deviations: np.ndarray) -> tuple[float, float]:
    """Return the slope of the line of least squares, and its standard deviation."""
    if len(numbers) < 3:
        return 0.0, 1.0
    centred = numbers - numbers.mean()
    squares = float(centred @ centred)
    if not squares:
        return 0.0, 1.0
    slope = float(centred @ deviations) / squares
    rest = deviations - deviations.mean() - slope * centred
    return slope, float(np.sqrt(rest @ rest / (len(numbers) - 2) / squares))


def _may_part(is_new: np.ndarray) -> np.ndarray:
    """Whether packets and their predecessors may have different frames: all but three with one time stamp."""
    is_third = ~is_new & ~np.append(True, is_new[:-1])
    parted: np.ndarray = ~(is_third | np.append(is_third[1:], False))
    return parted


def _spread(positions: np.ndarray, may_part: np.ndarray) -> np.ndarray:
    """Return the nearest frame of each position, but move neighbours apart where jitter put two on one frame."""
    indices = np.floor(positions + 0.5).astype(np.int64)
    collisions = np.flatnonzero((np.diff(indices) <= 0) & may_part[1:])
    if len(collisions) > MAX_COLLISIONS * len(indices):
        return indices
    deviations = positions - indices
    spread = REACH_DEVIATIONS * 1.4826 * float(np.median(np.abs(deviations)))
    reach = min(MAX_REACH, max(MIN_REACH, 0.5 + spread))
    for collision in collisions.tolist():
        _move_apart(positions, indices, collision, reach)
    _join_ends(positions, indices, reach)
    return indices


def _move_apart(positions: np.ndarray, indices: np.ndarray, collision: int, reach: float) -> None:
    """Shift the packets between a collision and the next frame without a packet, if all stay within reach."""
    left, right = collision, collision + 1
    can_left = can_right = True
    for _ in range(MAX_MOVED_PACKETS):
        if can_right:
            can_right = right < len(indices) and abs(positions[right] - indices[right] - 1) <= reach
            if can_right and (right + 1 == len(indices) or indices[right + 1] > indices[right] + 1):
                indices[collision + 1 : right + 1] += 1
                return
            right += 1
        if can_left:
            can_left = left >= 0 and abs(positions[left] - indices[left] + 1) <= reach
            if can_left and (left == 0 or indices[left - 1] < indices[left] - 1):
                indices[left : collision + 1] -= 1
                return
            left -= 1


def _join_ends(positions: np.ndarray, indices: np.ndarray, reach: float) -> None:
    """Close a gap of one frame near the ends of the file, which jitter of the first or last packets made."""
    gaps = np.flatnonzero(np.diff(indices) == 2)
    if not len(gaps):
        return
    before, after = slice(None, int(gaps[0]) + 1), slice(int(gaps[-1]) + 1, None)
    if before.stop <= MAX_MOVED_PACKETS and np.all(np.abs(positions[before] - indices[before] - 1) <= reach):
        indices[before] += 1
    is_near = len(gaps) > 1 and len(indices) - after.start <= MAX_MOVED_PACKETS
    if is_near and np.all(np.abs(positions[after] - indices[after] + 1) <= reach):
        indices[after] -= 1

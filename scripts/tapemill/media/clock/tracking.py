"""Tracking of a recorder's clock: the frame index of each time stamp although the clock jitters and runs off.

A recorder stamps frames with a clock of its own, some milliseconds early or late, and some parts in a million fast or
slow against the frames. The phase of the clock against the frames is estimated along the file; beside it, frames count
up by one from time stamp to time stamp. Where they do not, a frame is missing or there twice: the count steps there,
if the time stamps on both sides prove it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .step_fit import fit_steps

# Frames are exact to this part between two recorders; the rates 24 and 24000/1001 differ by twice as much.
MAX_DRIFT = 500e-6
# Blocks of packets whose phase is estimated first, and how many of them are averaged.
BLOCK_PACKETS, SMOOTHED_BLOCKS = 8, 33
# Penalty of a missing or doubled frame against squared deviations in frames. Jitter alone makes a pair of them with
# a probability of e to the power of -2 * penalty / variance for each frame: once in 10^10. The least penalty lets two
# time stamps be a whole frame late, or four be three quarters late, with none between them and the next ones.
PENALTY_VARIANCES, MIN_PENALTY = 12.0, 1.0
# A step near an end is proven by few time stamps; those of a clock with little jitter (in frames) count as so many.
EXACT_JITTER, END_WEIGHT = 0.1, 3
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


def track_clock(positions: np.ndarray, least_agreement: float = 0) -> TrackedClock | None:
    """Track the clock of sorted time stamps; None if they agree less than that on its phase.

    `positions` are in frames from the first one, shape = (packets,).
    """
    phase, agreement, variance = _find_phase(positions)
    if agreement < least_agreement:
        return None
    # Equal time stamps have one phase, so that they get one index.
    is_new = np.append(True, np.diff(positions) > 0)
    phase = phase[np.maximum.accumulate(np.where(is_new, np.arange(len(positions)), 0))]
    indices = _count_frames(positions - phase, _is_counted(is_new), variance)
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


def _find_phase(positions: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Estimate the phase at each time stamp, modulo one frame, shape = (packets,).

    Returned are also the agreement of the time stamps on it, and the variance of their jitter.
    """
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
    # Of means, so that what neighbours have in common is in it; by their median, without the blocks that have gaps.
    off = np.angle(by_block * np.exp(-1j * angles)) / (2 * np.pi)
    variance = BLOCK_PACKETS * (1.4826 * float(np.median(np.abs(off)))) ** 2
    return phase, float(agreement.max(axis=0).mean()), variance


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


def _is_counted(is_new: np.ndarray) -> np.ndarray:
    """Whether each packet has a frame of its own: of several with one time stamp the first two, which can be parted."""
    counted: np.ndarray = is_new | np.append(True, is_new[:-1])
    return counted


def _count_frames(positions: np.ndarray, is_counted: np.ndarray, variance: float) -> np.ndarray:
    """Return the frame of each packet. `positions` are in frames, with the phase taken off. shape = (packets,).

    The count steps up where frames are missing, and down where several packets show one.
    """
    numbers = np.cumsum(is_counted) - 1
    offsets = positions[is_counted] - np.arange(numbers[-1] + 1)
    weight = END_WEIGHT if variance <= EXACT_JITTER**2 else 1
    steps = fit_steps(np.pad(offsets, weight - 1, "edge"), max(MIN_PENALTY, PENALTY_VARIANCES * variance))
    steps = np.floor(steps[weight - 1 : len(offsets) + weight - 1] + 0.5).astype(np.int64)
    indices: np.ndarray = numbers + steps[numbers]
    return indices

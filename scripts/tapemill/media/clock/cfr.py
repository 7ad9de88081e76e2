"""Constant-frame-rate timeline of a capture: its rate, and the frame index of each packet."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from fractions import Fraction

import numpy as np

from tapemill.core.timing import round_half_up
from tapemill.storage.typed_json import optional

from .origins import JITTER_FRAMES, ClockOrigin, count_origins, find_drift, origin_expression
from .tracking import MAX_DRIFT, TrackedClock, count_drops, count_repeats, track_clock

# A recorder's clock is tracked if its time stamps agree on it: measured 0.55 and more with jitter of half a frame and
# gaps in every fortieth, and 0.31 at most where the rate is variable, both from 200 packets on.
MIN_AGREEMENT = 0.45
# Few time stamps agree by chance: below the first number more agreement is asked, below the second nothing is tracked.
FEW_PACKETS, MIN_PACKETS = 200, 16


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
    _: KW_ONLY
    origins: tuple[ClockOrigin, ...] = optional(())
    """Where the recorder's clock has run off: from each `pts` on, indices count from its `origin_pts` and no longer
    from `start_pts`."""
    drift: tuple[ClockOrigin, ...] = optional(())
    """The clock's origin along the file, linear in between: for audio, whose time stamps are of the same clock."""

    @property
    def start_s(self) -> Fraction:
        """Start of frame 0 on the file's clock, in seconds."""
        return (self.drift[0].origin_pts if self.drift else self.start_pts) * self.time_base

    def indices(self, times: np.ndarray) -> np.ndarray:
        """Return the frame index of each of some sorted time stamps. shape = (packets,), int64."""
        if not self.origins:
            return frame_indices(times, self.start_pts, self.time_base, self.rate)
        starts = np.array([change.order for change in self.origins])
        origins = np.array([self.start_pts, *(change.origin_pts for change in self.origins)])
        valid = np.searchsorted(starts, _order(times), side="right")
        return frame_indices(times - origins[valid], 0, self.time_base, self.rate)

    def extended(self, ticks: int) -> CfrGrid:
        """Return the grid with the last frame repeated for so many ticks of `time_base`."""
        more = round_half_up(ticks * self.time_base * self.rate)
        if not more:
            return self
        return replace(self, frames=self.frames + more, duplicates=self.duplicates + more, irregular=True)

    def pts_of(self, frame: int) -> int:
        """Return the time stamp that a frame has without jitter."""
        pts = self.start_pts + int(frame / self.rate / self.time_base)
        return pts - self.start_pts + self._origin(pts) if self.origins else pts

    def tape_s(self, file_s: Fraction) -> Fraction:
        """Convert a time of the file's clock to one from frame 0 on, in seconds."""
        if not self.drift:
            return file_s - self.start_s
        pts = file_s / self.time_base
        origin = np.interp(float(pts), [knot.pts for knot in self.drift], [knot.origin_pts for knot in self.drift])
        return (pts - Fraction(round(16 * float(origin)), 16)) * self.time_base

    def file_s(self, tape_s: Fraction) -> Fraction:
        """Convert a time from frame 0 on to one of the file's clock: the inverse of `tape_s`, to a tick or two."""
        about = tape_s + self.start_s
        return about + tape_s - self.tape_s(about)

    def from_frame_0(self, first_frame: int = 0, stop_frame: int | None = None) -> str:
        """Return the argument of ffmpeg's `setpts` for time stamps from frame 0 on, right for the frames of a range.

        Rounded to frames, as the filter `fps` does, it is `indices`. Frames before the range come before it too.
        """
        margin = int(1 / self.time_base)
        low = self.pts_of(first_frame) - margin
        high = None if stop_frame is None else self.pts_of(stop_frame) + margin
        changes = [change for change in self.origins if change.pts > low and (high is None or change.pts <= high)]
        expression = f"PTS-({origin_expression(self._origin(low), changes)})"
        return f"'{expression}'" if changes else expression

    def _origin(self, pts: int) -> int:
        return next((change.origin_pts for change in reversed(self.origins) if change.pts <= pts), self.start_pts)


def _order(times: np.ndarray) -> np.ndarray:
    """Return numbers that distinguish the second of two equal time stamps from the first. shape = (packets,)."""
    order: np.ndarray = 2 * times + np.append(False, np.diff(times) == 0)
    return order


def fit_cfr_grid(times: np.ndarray, last_duration: int, time_base: Fraction, rate: Fraction) -> CfrGrid:
    """Fit sorted time stamps, shape = (packets,), to a constant-rate grid; its `indices` map packets to frames.

    A regular capture counts from its first time stamp. The clock of any other is tracked, if it is one.
    """
    start = int(times[0])
    indices = frame_indices(times, start, time_base, rate)
    irregular = is_irregular(times, indices, time_base, rate)
    origins: tuple[ClockOrigin, ...] = ()
    drift: tuple[ClockOrigin, ...] = ()
    if irregular:
        tracked = track_rate(times, time_base, rate)
        if tracked is not None and change_count(tracked.indices) <= change_count(indices):
            indices = tracked.indices
            changes = count_origins(times, tracked, time_base, rate)
            start, origins = changes[0].origin_pts, tuple(changes[1:])
            drift = find_drift(times, tracked, time_base, rate)
            # A time stamp alone does not say which of two packets it is.
            irregular = bool(np.any(np.diff(indices) != 1) or any(change.second for change in origins))
    distinct = np.unique(indices)
    tail = max(1, round_half_up(last_duration * time_base * rate))
    frames = int(distinct[-1]) + (tail if irregular else 1)
    return CfrGrid(
        rate=rate,
        start_pts=start,
        time_base=time_base,
        frames=frames,
        packets=len(times),
        duplicates=frames - len(distinct),
        drops=len(times) - len(distinct),
        irregular=irregular,
        origins=origins,
        drift=drift,
    )


def frame_indices(times: np.ndarray, start: int, time_base: Fraction, rate: Fraction) -> np.ndarray:
    """Return the frame index of each time stamp: nearest, halves up, in exact integers. shape = (packets,), int64."""
    step = time_base * rate
    return (2 * (times - start) * step.numerator + step.denominator) // (2 * step.denominator)


def is_irregular(times: np.ndarray, indices: np.ndarray, time_base: Fraction, rate: Fraction) -> bool:
    """Whether some time stamp is off its index by more than jitter, or indices are left out or used twice."""
    exact = (times - times[0]).astype(np.float64) * float(time_base * rate)
    # The time base of a container may be coarse compared with a frame; its rounding is no irregularity.
    tolerance = float(max(JITTER_FRAMES, time_base * rate))
    return bool(np.any(np.abs(exact - indices) > tolerance) or np.any(np.diff(indices) != 1))


def track_rate(times: np.ndarray, time_base: Fraction, rate: Fraction) -> TrackedClock | None:
    """Track the clock of time stamps at a rate; None if they do not agree on one, or it is too far off the rate."""
    packets = len(times)
    if time_base * rate > Fraction(1, 2) or packets < MIN_PACKETS:
        return None
    positions = (times - times[0]).astype(np.float64) * float(time_base * rate)
    tracked = track_clock(positions, max(MIN_AGREEMENT, 1 - packets / FEW_PACKETS))
    return None if tracked is None or tracked.least_drift > MAX_DRIFT else tracked


def change_count(indices: np.ndarray) -> int:
    """Return the number of frames that are repeated or dropped, by the indices of the packets."""
    return count_repeats(indices) + count_drops(indices)

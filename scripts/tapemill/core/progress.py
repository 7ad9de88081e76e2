"""Progress and facts of a running job, for its log and for the events of the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

LOG = logging.getLogger("tapemill.core")

T = TypeVar("T")

REPORT_INTERVAL_S = 5.0
# A long job reports less often: at intervals of up to a fiftieth of the time so far.
REPORT_INTERVAL_DIVISOR = 50


def report(line: str, /, **facts: Any) -> None:
    """Log a line, and emit facts for the events of this attempt (event.schema.yaml, `told`)."""
    LOG.info("%s", line, extra={"job_facts": facts})


class Progress:
    """Frame counter of a job: every few seconds it reports the frames done, the speed and the remaining time.

    Speed is measured from the first frames on, not from the start: before them models are loaded or frames skipped.
    """

    def __init__(self, total_frames: int, step: str = "") -> None:
        """`step` names the current step, if the job counts the same frames more than once."""
        self.total_frames = total_frames
        self.done_frames = 0
        self._step = step
        self._start_s = self._reported_s = time.monotonic()
        self._first: tuple[float, int] | None = None

    def advance(self, frames: int = 1) -> None:
        """Count `frames` more as done."""
        self.done_frames += frames
        now_s = time.monotonic()
        if self._first is None and self.done_frames:
            self._first = (now_s, self.done_frames)
        if now_s - self._reported_s >= max(REPORT_INTERVAL_S, (now_s - self._start_s) / REPORT_INTERVAL_DIVISOR):
            self._reported_s = now_s
            self._report(now_s)

    def reach(self, frames: int) -> None:
        """Set how many frames are done so far."""
        self.advance(frames - self.done_frames)

    def counting(self, items: Iterable[T], frames_per_item: int = 1) -> Iterator[T]:
        """Yield the items; each counts as done when the next one is requested."""
        for item in items:
            yield item
            self.advance(frames_per_item)

    def _speed(self, now_s: float) -> float | None:
        """Frames per second; None while it is unknown."""
        if self._first is None or now_s <= self._first[0] or self.done_frames <= self._first[1]:
            return None
        return (self.done_frames - self._first[1]) / (now_s - self._first[0])

    def _report(self, now_s: float) -> None:
        facts: dict[str, Any] = {"frames": self.done_frames, "total_frames": self.total_frames}
        parts = [f"{self.done_frames} of {self.total_frames} frames"]
        if self._step:
            facts["step"] = self._step
            parts.insert(0, self._step)
        if (frames_per_s := self._speed(now_s)) is not None:
            remaining_s = max(0, self.total_frames - self.done_frames) / frames_per_s
            facts |= {"frames_per_s": round(frames_per_s, 3), "remaining_s": round(remaining_s, 1)}
            parts += [f"{frames_per_s:.2f} frames/s", f"{remaining_s:.0f} s to go"]
        LOG.info("%s", ", ".join(parts), extra={"job_progress": facts})


class ByteProgress:
    """Progress through files whose frame counts are not known yet: the total is extrapolated from bytes read."""

    def __init__(self, sizes_bytes: Sequence[int], step: str = "") -> None:
        self._progress = Progress(0, step)
        self._all_bytes = sum(sizes_bytes)
        self._sizes_bytes = iter(sizes_bytes)
        self._size_bytes = self._before_bytes = self._before_frames = 0

    def next_file(self) -> None:
        """Start the next file, in the order of the sizes; the one before is complete."""
        self._before_bytes += self._size_bytes
        self._before_frames = self._progress.done_frames
        self._size_bytes = next(self._sizes_bytes)

    def reach(self, frames: int, read_bytes: int) -> None:
        """Set how many frames and bytes of this file were read. Without bytes nothing is reported."""
        done_frames, done_bytes = self._before_frames + frames, self._before_bytes + read_bytes
        if done_bytes > 0:
            self._progress.total_frames = max(done_frames, round(done_frames * self._all_bytes / done_bytes))
            self._progress.reach(done_frames)


def progress_by_seconds(frames: int, seconds: float, step: str = "") -> Callable[[float], None]:
    """Return a callback for work that counts seconds: it maps seconds done, of `seconds`, to `frames` done."""
    progress = Progress(frames, step)

    def reached(done_s: float) -> None:
        done = round(frames * done_s / seconds) if seconds > 0 else 0
        # With several tracks side by side, the furthest one counts.
        progress.reach(min(frames, max(done, progress.done_frames)))

    return reached

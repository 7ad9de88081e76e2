"""What the work of a job tells on its way: how far it is, and on what it runs. Into its log, and into the events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

LOG = logging.getLogger("tapemill.core")

T = TypeVar("T")

TELL_EVERY_S = 5.0
# Of a job of hours nobody needs to hear as often: between two words a fiftieth of the time so far may pass.
TELLINGS = 50


def report(line: str, /, **facts: Any) -> None:
    """A line for the log, and facts for the events of this attempt (event.schema.yaml, `told`)."""
    LOG.info("%s", line, extra={"job_facts": facts})


class Progress:
    """Counts the frames of a job; every few seconds says how many are done, how fast, and how long the rest takes.

    Speed counts from the first frames on, not from the start: before them models are loaded, or pictures skipped.
    """

    def __init__(self, total_frames: int, step: str = "") -> None:
        """`step` names what is being done, if the job counts the same frames more than once."""
        self.total_frames = total_frames
        self.done_frames = 0
        self._step = step
        self._began_s = self._told_s = time.monotonic()
        self._first: tuple[float, int] | None = None

    def advance(self, frames: int = 1) -> None:
        """So many more frames are done."""
        self.done_frames += frames
        now_s = time.monotonic()
        if self._first is None and self.done_frames:
            self._first = (now_s, self.done_frames)
        if now_s - self._told_s >= max(TELL_EVERY_S, (now_s - self._began_s) / TELLINGS):
            self._told_s = now_s
            self._tell(now_s)

    def reach(self, frames: int) -> None:
        """So many frames are done in all."""
        self.advance(frames - self.done_frames)

    def counting(self, items: Iterable[T], frames_per_item: int = 1) -> Iterator[T]:
        """The same items; each counts when the next one is asked for, which is when it has been used."""
        for item in items:
            yield item
            self.advance(frames_per_item)

    def _speed(self, now_s: float) -> float | None:
        """Frames a second; None while nothing can be said."""
        if self._first is None or now_s <= self._first[0] or self.done_frames <= self._first[1]:
            return None
        return (self.done_frames - self._first[1]) / (now_s - self._first[0])

    def _tell(self, now_s: float) -> None:
        facts: dict[str, Any] = {"frames": self.done_frames, "total_frames": self.total_frames}
        words = [f"{self.done_frames} of {self.total_frames} frames"]
        if self._step:
            facts["step"] = self._step
            words.insert(0, self._step)
        if (frames_per_s := self._speed(now_s)) is not None:
            remaining_s = max(0, self.total_frames - self.done_frames) / frames_per_s
            facts |= {"frames_per_s": round(frames_per_s, 3), "remaining_s": round(remaining_s, 1)}
            words += [f"{frames_per_s:.2f} frames/s", f"{remaining_s:.0f} s to go"]
        LOG.info("%s", ", ".join(words), extra={"job_progress": facts})


class ByteProgress:
    """Progress through files of which nobody knows yet how many frames they hold: judged by the bytes these take."""

    def __init__(self, sizes_bytes: Sequence[int], step: str = "") -> None:
        self._progress = Progress(0, step)
        self._all_bytes = sum(sizes_bytes)
        self._sizes_bytes = iter(sizes_bytes)
        self._size_bytes = self._before_bytes = self._before_frames = 0

    def next_file(self) -> None:
        """The file before is read; the next one, in the order of the sizes, begins."""
        self._before_bytes += self._size_bytes
        self._before_frames = self._progress.done_frames
        self._size_bytes = next(self._sizes_bytes)

    def reach(self, frames: int, read_bytes: int) -> None:
        """So many frames of this file are read, within so many of its bytes. Without bytes nothing can be judged."""
        done_frames, done_bytes = self._before_frames + frames, self._before_bytes + read_bytes
        if done_bytes > 0:
            self._progress.total_frames = max(done_frames, round(done_frames * self._all_bytes / done_bytes))
            self._progress.reach(done_frames)


def progress_by_seconds(frames: int, seconds: float, step: str = "") -> Callable[[float], None]:
    """Progress of work that counts seconds, of all there are, through what has so many frames."""
    progress = Progress(frames, step)

    def reached(done_s: float) -> None:
        done = round(frames * done_s / seconds) if seconds > 0 else 0
        # Of several tracks side by side the one that is ahead.
        progress.reach(min(frames, max(done, progress.done_frames)))

    return reached

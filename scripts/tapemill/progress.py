"""What the work of a job tells on its way: how far it is, and on what it runs. Into its log, and into the events."""

from __future__ import annotations

import logging
import time
from typing import Any

LOG = logging.getLogger("tapemill.progress")

TELL_EVERY_S = 5.0


def tell(line: str, /, **facts: Any) -> None:
    """A line for the log, and facts for the event that ends this attempt (event.schema.yaml, `job_done`)."""
    LOG.info("%s", line, extra={"job_facts": facts})


class Progress:
    """Counts the frames of a job; every few seconds says how many are done, how fast, and how long the rest takes."""

    def __init__(self, total_frames: int) -> None:
        self.total_frames = total_frames
        self.done_frames = 0
        self._started_s = self._told_s = time.monotonic()

    def advance(self, frames: int = 1) -> None:
        """So many more frames are done."""
        self.done_frames += frames
        now_s = time.monotonic()
        if now_s - self._told_s < TELL_EVERY_S:
            return
        self._told_s = now_s
        frames_per_s = self.done_frames / (now_s - self._started_s)
        remaining_s = max(0, self.total_frames - self.done_frames) / frames_per_s
        LOG.info(
            "%d of %d frames, %.2f frames/s, %.0f s to go",
            self.done_frames,
            self.total_frames,
            frames_per_s,
            remaining_s,
            extra={
                "job_progress": {
                    "frames": self.done_frames,
                    "total_frames": self.total_frames,
                    "frames_per_s": round(frames_per_s, 3),
                    "remaining_s": round(remaining_s, 1),
                }
            },
        )

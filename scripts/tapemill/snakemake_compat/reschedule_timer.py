"""Timers of the job scheduler that multiply with each finished job (Snakemake 9.27.1, `JobScheduler`).

Upstream: docs/upstream/reschedule-timer.md.
"""

from __future__ import annotations

import threading
from typing import Any


def limit_reschedule_timers(scheduler: Any) -> None:
    """Let Snakemake's `JobScheduler` search for ready jobs once a second, and whenever a job ends.

    Its limit of jobs a second, which cannot be switched off, makes every search set a timer of one second for another
    one. So each end of a job adds one more search a second for good, and a thread: after some hundred jobs the main
    process needs a core of its own.
    """
    waiting = False

    def reschedule() -> None:
        nonlocal waiting
        # Before the release: the scheduler then sets the next timer.
        waiting = False
        scheduler._open_jobs.release()

    def reschedule_later(delay_s: float) -> None:
        nonlocal waiting
        if not waiting:
            waiting = True
            timer = threading.Timer(delay_s, reschedule)
            # The last one must not keep the run from ending.
            timer.daemon = True
            timer.start()

    # Its name is spelt so.
    if hasattr(scheduler, "_schedule_reevalutation") and hasattr(scheduler, "_open_jobs"):
        scheduler._schedule_reevalutation = reschedule_later

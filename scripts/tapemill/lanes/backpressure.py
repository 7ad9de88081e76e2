"""Back-pressure: limit of temporary files that wait for the jobs that use them.

A lossless cut of half a minute is 190 MB, and cutting is faster than enhancing: without a limit the cuts of a whole
tape, 45 GB, would accumulate. A rule is limited by two resources: `backlog=1` marks that its file is for one other job,
`backlog_limit` is the number of such files that may wait for their jobs to start.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

BACKLOG: Final = "backlog"
BACKLOG_LIMIT: Final = "backlog_limit"

UNLIMITED: Final = 1_000_000
"""Declared amount of `backlog`, so that Snakemake's accounting counts such running jobs, also after failures."""


@dataclass
class Backlog:
    """Waiting files. The jobs that should use abandoned ones never can."""

    _abandoned: set[str] = field(default_factory=set)
    _seen: frozenset[str] = frozenset()

    def free_slots(self, files: Collection[str], *, running: int, limit: int) -> int:
        """Return how many more jobs may start.

        `files` exist and no job that uses them has started; `running` more are being written; `limit` is the limit.
        """
        self._seen = frozenset(files)
        return max(0, limit - len(self._seen - self._abandoned) - running)

    def abandon_waiting(self) -> None:
        """Stop counting the waiting files: nothing runs and nothing else can start, so they would wait for ever."""
        self._abandoned |= self._seen

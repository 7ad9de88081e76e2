"""How far jobs may run ahead of those that use what they make.

A lossless cut of half a minute is 190 MB, and cutting is quicker than enhancing: left alone, all of a tape, 45 GB,
would lie there. A rule is held back by two resources: `backlog=1` says that its file is for one other job,
`backlog_limit` how many such files may wait for theirs to begin.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

BACKLOG: Final = "backlog"
BACKLOG_LIMIT: Final = "backlog_limit"

UNLIMITED: Final = 1_000_000
"""Declared for `backlog` itself, so that Snakemake's accounting tells how many such jobs run, also after failures."""


@dataclass
class Waiting:
    """Files that wait. Of those that were given up, the jobs that should use them never can."""

    _given_up: set[str] = field(default_factory=set)
    _seen: frozenset[str] = frozenset()

    def room(self, files: Collection[str], *, running: int, at_most: int) -> int:
        """How many more jobs may begin. `files` are there, and no job that uses them has begun; `running` are made."""
        self._seen = frozenset(files)
        return max(0, at_most - len(self._seen - self._given_up) - running)

    def give_up(self) -> None:
        """Nothing runs and nothing else can start: what waits now will wait for ever, and holds nobody back."""
        self._given_up |= self._seen

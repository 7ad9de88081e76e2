"""What the doctor finds, and what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tapemill.core.errors import TapemillError
from tapemill.devices.device import Kind

Level = Literal["ok", "warning", "error"]
"""A `error`: a run would fail, or not begin. A `warning`: it would go, but somebody should know. A machine without a
card has neither, the CPU does the same work."""

Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """Something seen, good or bad."""

    level: Level
    title: str
    """In one line."""
    facts: Facts = ()
    """What belongs to it, by name."""
    remedy: str | None = None
    """What to do; None if there is nothing to be done."""

    @classmethod
    def of(cls, exc: TapemillError, level: Level = "error") -> Finding:
        """An error that a run would end in, or a job of it."""
        facts = [("said", line) for line in exc.stderr_tail]
        if exc.tool_exit_code is not None:
            facts.insert(0, ("exit code", str(exc.tool_exit_code)))
        if exc.file is not None:
            facts.insert(0, ("file", str(exc.file)))
        return cls(level, exc.what, facts, exc.remedy)


def ok(title: str, facts: Facts = ()) -> Finding:
    """Nothing to be done."""
    return Finding("ok", title, facts)


def warning(title: str, remedy: str, facts: Facts = ()) -> Finding:
    """A run would go."""
    return Finding("warning", title, facts, remedy)


def error(title: str, remedy: str, facts: Facts = ()) -> Finding:
    """A run would not."""
    return Finding("error", title, facts, remedy)


@dataclass(frozen=True)
class CheckOptions:
    """What the command line asks for."""

    kind: Kind | None = None
    """Look for cards of this kind alone; None for all that torch can use."""
    profile: str | None = None
    """The profile that runs are to be started with, as `snakemake --profile` takes it."""


Check = Callable[[CheckOptions], Iterator[Finding]]

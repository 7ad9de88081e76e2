"""Findings of the doctor, and the options of its checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tapemill.core.errors import TapemillError
from tapemill.devices.device import Kind

Level = Literal["ok", "warning", "error"]
"""An `error`: a run would fail, or not begin. A `warning`: a run works, with a risk or a drawback. A machine without a
GPU has neither: the CPU does the same work."""

Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """Result of a check, good or bad."""

    level: Level
    title: str
    """One line."""
    facts: Facts = ()
    """Details as (name, value)."""
    remedy: str | None = None
    """What to do; None if nothing."""

    @classmethod
    def of(cls, exc: TapemillError, level: Level = "error") -> Finding:
        """Finding of an error that a run or one of its jobs would raise."""
        facts = [("output", line) for line in exc.stderr_tail]
        if exc.tool_exit_code is not None:
            facts.insert(0, ("exit code", str(exc.tool_exit_code)))
        if exc.file is not None:
            facts.insert(0, ("file", str(exc.file)))
        return cls(level, exc.what, facts, exc.remedy)


def ok(title: str, facts: Facts = ()) -> Finding:
    """Finding without anything to do."""
    return Finding("ok", title, facts)


def warning(title: str, remedy: str, facts: Facts = ()) -> Finding:
    """Finding of a risk or drawback: a run works."""
    return Finding("warning", title, facts, remedy)


def error(title: str, remedy: str, facts: Facts = ()) -> Finding:
    """Finding of an error: a run would fail."""
    return Finding("error", title, facts, remedy)


@dataclass(frozen=True)
class CheckOptions:
    """Options of the checks, from the command line."""

    kind: Kind | None = None
    """Check only GPUs of this kind; None: of all kinds that torch can use."""
    profile: str | None = None
    """Profile of the run, as given to `snakemake --profile`."""


Check = Callable[[CheckOptions], Iterator[Finding]]

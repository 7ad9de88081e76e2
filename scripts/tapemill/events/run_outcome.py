"""Outcome of a run: failed jobs, replaced scenes, retries. Folded from the events by `run_state`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tapemill.core.job_warnings import JobWarning, Kind
from tapemill.process.abort import AbortReason

from .attempts import Attempt

LOST: Final = "ended without a word; it was killed, or the machine ran out of memory"
"""Reason of an attempt that did not report its end."""
REPLACED: Final[Mapping[Kind, str]] = {
    "kept": "its picture is only deinterlaced",
    "stands_in": "other pictures stand in for damaged ones",
    "empty": "it has no subtitles",
}


@dataclass(frozen=True)
class Failed:
    """A job that failed for good."""

    rule: str
    tape: str
    scene: str
    reason: str
    """One line."""
    log: str


@dataclass(frozen=True)
class Replaced:
    """A scene that is in its tape in another way than it should be."""

    kind: Kind
    tape: str
    scene: str
    reason: str
    """One line."""
    log: str


@dataclass(frozen=True)
class RunFacts:
    """How a run ended."""

    failed: tuple[Failed, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    """Scenes of this run, and all of the tapes that were put together in it."""
    tried_again: int = 0
    """Jobs that succeeded, but not at once."""
    attempts_lost: int = 0
    """Attempts of these that failed."""
    lowered: int = 0
    """Jobs that did with less memory than they should have."""
    interrupted: int = 0
    """Jobs that were stopped in the middle, by Ctrl-C for instance."""
    not_started: int = 0
    stopped: AbortReason | None = None
    """Why no more jobs were started before all was done."""
    missing: tuple[str, ...] = ()
    """Files that the run was to make and that are not there, although Snakemake took all for done."""

    @property
    def scenes_replaced(self) -> int:
        """Scenes that are in their tape in another way than they should be, each once."""
        return len({(each.tape, each.scene) for each in self.replaced})


def notices_of(attempt: Attempt) -> list[JobWarning]:
    """Deviations that an attempt reported."""
    return [JobWarning(**each) for each in attempt.facts.get("notices", ())]


def replaced_scenes(done: Iterable[Attempt]) -> Iterator[Replaced]:
    """Scenes of jobs that are done: each once for each kind, by the job that replaced it if that was in this run."""
    found: dict[tuple[Kind, str, str], Replaced] = {}
    attempts = sorted(done, key=lambda attempt: (any(notice.scene for notice in notices_of(attempt)), attempt.log))
    for attempt in attempts:
        for notice in notices_of(attempt):
            scene = notice.scene or attempt.scene
            if notice.kind in REPLACED:
                row = Replaced(notice.kind, attempt.tape, scene, notice.reason, attempt.log)
                found.setdefault((notice.kind, attempt.tape, scene), row)
    yield from sorted(found.values(), key=lambda each: (each.tape, each.scene, each.kind))

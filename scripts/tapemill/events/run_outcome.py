"""Outcome of a run: failed jobs, replaced scenes, retries. Folded from the events by `run_state`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tapemill.core.job_warnings import JobWarning, Kind
from tapemill.process.abort import AbortReason

from .attempts import Attempt

LOST_REASON: Final = "ended without a report: it was killed, or the machine ran out of memory"
"""Reason of an attempt that did not report its end."""
REPLACED_TEXT: Final[Mapping[Kind, str]] = {
    "kept": "its video is only deinterlaced",
    "stands_in": "damaged frames are replaced by others",
    "empty": "it has no subtitles",
}


@dataclass(frozen=True)
class FailedJob:
    """A job that failed for good."""

    rule: str
    tape: str
    scene: str
    reason: str
    """One line."""
    log: str


@dataclass(frozen=True)
class ReplacedScene:
    """A scene that is not in its tape as requested."""

    kind: Kind
    tape: str
    scene: str
    reason: str
    """One line."""
    log: str


@dataclass(frozen=True)
class RunOutcome:
    """Outcome of a run. The fields are those of the event `run_ended`."""

    failed: tuple[FailedJob, ...] = ()
    replaced: tuple[ReplacedScene, ...] = ()
    """Replaced scenes of this run's jobs, and all of the tapes that were muxed in it."""
    tried_again: int = 0
    """Jobs that succeeded after a retry."""
    attempts_lost: int = 0
    """Failed attempts of these."""
    lowered: int = 0
    """Jobs that were downgraded for lack of memory."""
    interrupted: int = 0
    """Jobs that were stopped while they ran, for example by Ctrl-C."""
    not_started: int = 0
    signal: str | None = None
    """Signal that asked the run to stop, such as SIGINT for Ctrl-C."""
    stopped: AbortReason | None = None
    """Reason of an abort of the run."""
    missing: tuple[str, ...] = ()
    """Requested files that do not exist, although Snakemake reported success."""

    @property
    def scenes_replaced(self) -> int:
        """Number of replaced scenes, each counted once."""
        return len({(each.tape, each.scene) for each in self.replaced})


def notices_of(attempt: Attempt) -> list[JobWarning]:
    """Deviations that an attempt reported."""
    return [JobWarning(**each) for each in attempt.facts.get("notices", ())]


def replaced_scenes(done: Iterable[Attempt]) -> Iterator[ReplacedScene]:
    """Replaced scenes of finished jobs: once for each kind, by the job that replaced it if that was in this run."""
    found: dict[tuple[Kind, str, str], ReplacedScene] = {}
    attempts = sorted(done, key=lambda attempt: (any(notice.scene for notice in notices_of(attempt)), attempt.log))
    for attempt in attempts:
        for notice in notices_of(attempt):
            scene = notice.scene or attempt.scene
            if notice.kind in REPLACED_TEXT:
                row = ReplacedScene(notice.kind, attempt.tape, scene, notice.reason, attempt.log)
                found.setdefault((notice.kind, attempt.tape, scene), row)
    yield from sorted(found.values(), key=lambda each: (each.tape, each.scene, each.kind))

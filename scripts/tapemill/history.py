"""What became of each attempt of each job of a run, put together from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from .events import Event

Outcome = Literal["running", "done", "failed", "stopped", "not started", "lost"]
"""`stopped`: with the run, by Ctrl-C for instance. `lost`: it ended without a word, as a killed process does."""

JOB = ("rule", "tape", "scene", "log")
ENDINGS: Final[Mapping[str, Outcome]] = {
    "job_done": "done",
    "job_failed": "failed",
    "job_stopped": "stopped",
    "job_not_started": "not started",
}


@dataclass(frozen=True)
class Attempt:
    """One attempt of one job."""

    rule: str
    tape: str
    """Empty for jobs of no tape."""
    scene: str
    """Empty for jobs of a whole tape."""
    log: str
    """Log of the job: tells one job from another."""
    number: int
    """1 for the first attempt."""
    started: datetime
    outcome: Outcome = "running"
    ended: datetime | None = None
    """None while it runs; for a lost attempt, when it was last heard of."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What it told (event.schema.yaml): lane, device, device_uuid, model, frames, seconds, peak_memory_bytes, notices,
    reason, …; while it runs, its latest progress."""

    @property
    def duration(self) -> timedelta:
        """From its start to its end; zero while it runs."""
        return (self.ended or self.started) - self.started


def attempts(events: Iterable[Event]) -> list[Attempt]:
    """All attempts of a run, in the order in which they began."""
    found: list[Attempt] = []
    latest: dict[str, int] = {}
    for event in events:
        log = str(event.facts.get("log", ""))
        if event.kind == "job_started":
            _lose(found, latest.get(log))
            latest[log] = len(found)
            found.append(_begun(event))
        elif event.kind == "run_ended":
            for index in latest.values():
                _lose(found, index)
        elif log in latest:
            found[latest[log]] = _told(found[latest[log]], event)
    return found


def _begun(event: Event) -> Attempt:
    rule, tape, scene, log = (str(event.facts.get(key, "")) for key in JOB)
    number = int(event.facts.get("attempt", 1))
    return Attempt(rule, tape, scene, log, number=number, started=event.time, facts=_rest(event))


def _told(attempt: Attempt, event: Event) -> Attempt:
    facts = {**attempt.facts, **_rest(event), "heard": event.time}
    outcome = ENDINGS.get(event.kind)
    if outcome is None:
        return replace(attempt, facts=facts)
    return replace(attempt, facts=facts, outcome=outcome, ended=event.time)


def _lose(found: list[Attempt], index: int | None) -> None:
    """An attempt after which the next one begins, or the run ends, does not run any more."""
    if index is not None and found[index].outcome == "running":
        heard = found[index].facts.get("heard", found[index].started)
        found[index] = replace(found[index], outcome="lost", ended=heard)


def _rest(event: Event) -> dict[str, Any]:
    return {key: value for key, value in event.facts.items() if key not in (*JOB, "attempt")}

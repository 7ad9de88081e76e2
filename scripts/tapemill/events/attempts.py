"""What became of each attempt of each job of a run, put together from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from .log import Event

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
    reason, …; while it runs, its latest progress. `heard`: when it last told anything. `lane_since`: when its turn at
    the lane came."""

    @property
    def duration(self) -> timedelta:
        """From its start to its end; zero while it runs."""
        return (self.ended or self.started) - self.started

    @property
    def began(self) -> datetime:
        """When the work began, after a pause before another attempt and the wait for its lane."""
        if self.ended is not None and "seconds" in self.facts:
            return max(self.started, self.ended - timedelta(seconds=float(self.facts["seconds"])))
        since: datetime = self.facts.get("lane_since", self.started)
        return since

    @property
    def waits(self) -> bool:
        """Whether its turn at its lane is still to come."""
        return self.outcome == "running" and "waits_for" in self.facts and "lane" not in self.facts

    @property
    def names(self) -> tuple[str, str, str]:
        """Rule, tape and scene."""
        return self.rule, self.tape, self.scene


def names_of_log(log: str) -> tuple[str, str, str]:
    """Rule, tape and scene of the job that writes `logs/{rule}/{tape}/{scene}.log`; empty where it has none."""
    rule, tape, scene, *_ = [*Path(log).with_suffix("").parts[1:], "", "", ""]
    return rule, tape, scene


class AttemptLog:
    """The attempts of a run, event by event."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        """In the order in which they began."""
        self._latest: dict[str, int] = {}

    def add(self, event: Event) -> None:
        """The next event of the run; those that concern no attempt change nothing."""
        log = str(event.facts.get("log", ""))
        if event.kind == "job_started":
            self._lose(self._latest.get(log))
            self._latest[log] = len(self.attempts)
            self.attempts.append(_begun(event))
        elif event.kind in {"run_ended", "run_broken_off"}:
            self.lose_running()
        elif log in self._latest:
            index = self._latest[log]
            self.attempts[index] = _apply_event(self.attempts[index], event)

    def lose_running(self) -> None:
        """The run is over, so that what runs by its events does so no more."""
        for index in self._latest.values():
            self._lose(index)

    @property
    def latest(self) -> list[Attempt]:
        """The last attempt of each job."""
        return [self.attempts[index] for index in self._latest.values()]

    def _lose(self, index: int | None) -> None:
        """An attempt after which the next one begins, or the run ends, does not run any more."""
        if index is not None and self.attempts[index].outcome == "running":
            attempt = self.attempts[index]
            self.attempts[index] = replace(attempt, outcome="lost", ended=attempt.facts.get("heard", attempt.started))


def attempts(events: Iterable[Event], *, is_over: bool = False) -> list[Attempt]:
    """All attempts of a run, in the order in which they began.

    `is_over`: the run is known to be over, though it may have been killed before it could say so.
    """
    history = AttemptLog()
    for event in events:
        history.add(event)
    if is_over:
        history.lose_running()
    return history.attempts


def _begun(event: Event) -> Attempt:
    rule, tape, scene, log = (str(event.facts.get(key, "")) for key in JOB)
    number = int(event.facts.get("attempt", 1))
    return Attempt(rule, tape, scene, log, number=number, started=event.time, facts=_extra_fields(event))


def _apply_event(attempt: Attempt, event: Event) -> Attempt:
    facts = {**attempt.facts, **_extra_fields(event), "heard": event.time}
    if event.kind == "job_told" and "lane" in event.facts:
        facts["lane_since"] = event.time
    outcome = ENDINGS.get(event.kind)
    if outcome is None:
        return replace(attempt, facts=facts)
    return replace(attempt, facts=facts, outcome=outcome, ended=event.time)


def _extra_fields(event: Event) -> dict[str, Any]:
    return {key: value for key, value in event.facts.items() if key not in (*JOB, "attempt")}

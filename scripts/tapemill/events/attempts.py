"""Attempts of the jobs of a run, folded from its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from .log import Event

Outcome = Literal["running", "done", "failed", "stopped", "not started", "lost"]
"""`stopped`: with the run, for example by Ctrl-C. `lost`: it did not report its end, as after a kill."""

JOB_FIELDS = ("rule", "tape", "scene", "log")
OUTCOMES: Final[Mapping[str, Outcome]] = {
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
    """Path of the job's log, which is unique."""
    number: int
    """1 for the first attempt."""
    started: datetime
    outcome: Outcome = "running"
    ended: datetime | None = None
    """None while it runs; of a lost attempt the time of its last event."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its events (event.schema.yaml): lane, device, device_uuid, model, frames, seconds, peak_memory_bytes,
    notices, reason, …; while it runs, its latest progress. Added here: `last_event_at`, the time of its last event, and
    `lane_since`, the end of its wait for the lane."""

    @property
    def duration(self) -> timedelta:
        """From its start to its end; zero while it runs."""
        return (self.ended or self.started) - self.started

    @property
    def work_started_at(self) -> datetime:
        """Start of the work, after the back-off and the wait for the lane."""
        if self.ended is not None and "seconds" in self.facts:
            return max(self.started, self.ended - timedelta(seconds=float(self.facts["seconds"])))
        since: datetime = self.facts.get("lane_since", self.started)
        return since

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its lane."""
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
    """Attempts of a run, updated event by event."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        """In the order of their starts."""
        self._latest: dict[str, int] = {}

    def add(self, event: Event) -> None:
        """Apply the next event of the run; events of no attempt change nothing."""
        log = str(event.facts.get("log", ""))
        if event.kind == "job_started":
            self._mark_lost(self._latest.get(log))
            self._latest[log] = len(self.attempts)
            self.attempts.append(_new_attempt(event))
        elif event.kind in {"run_ended", "run_broken_off"}:
            self.mark_running_lost()
        elif log in self._latest:
            index = self._latest[log]
            self.attempts[index] = _apply_event(self.attempts[index], event)

    def mark_running_lost(self) -> None:
        """Mark running attempts as lost, because the run is over."""
        for index in self._latest.values():
            self._mark_lost(index)

    @property
    def latest(self) -> list[Attempt]:
        """The last attempt of each job."""
        return [self.attempts[index] for index in self._latest.values()]

    def _mark_lost(self, index: int | None) -> None:
        """Mark an attempt as lost if no event reported its end."""
        if index is not None and self.attempts[index].outcome == "running":
            attempt = self.attempts[index]
            self.attempts[index] = replace(
                attempt, outcome="lost", ended=attempt.facts.get("last_event_at", attempt.started)
            )


def fold_attempts(events: Iterable[Event], *, is_over: bool = False) -> list[Attempt]:
    """Attempts of a run, in the order of their starts.

    `is_over`: the run is over, although it may have been killed before its last event.
    """
    history = AttemptLog()
    for event in events:
        history.add(event)
    if is_over:
        history.mark_running_lost()
    return history.attempts


def _new_attempt(event: Event) -> Attempt:
    rule, tape, scene, log = (str(event.facts.get(key, "")) for key in JOB_FIELDS)
    number = int(event.facts.get("attempt", 1))
    return Attempt(rule, tape, scene, log, number=number, started=event.time, facts=_extra_fields(event))


def _apply_event(attempt: Attempt, event: Event) -> Attempt:
    facts = {**attempt.facts, **_extra_fields(event), "last_event_at": event.time}
    if event.kind == "job_told" and "lane" in event.facts:
        facts["lane_since"] = event.time
    outcome = OUTCOMES.get(event.kind)
    if outcome is None:
        return replace(attempt, facts=facts)
    return replace(attempt, facts=facts, outcome=outcome, ended=event.time)


def _extra_fields(event: Event) -> dict[str, Any]:
    return {key: value for key, value in event.facts.items() if key not in (*JOB_FIELDS, "attempt")}

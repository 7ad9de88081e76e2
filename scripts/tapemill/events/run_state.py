"""How a run goes, by its events alone: what is planned, done, running and failed; and whether it is still there."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from tapemill import events
from tapemill.core.errors import ConfigError
from tapemill.core.job_warnings import JobWarning
from tapemill.core.rule_catalog import OTHER, stage_of
from tapemill.jobs import attempt_store
from tapemill.jobs.attempt_store import JobNote
from tapemill.process.abort import AbortReason
from tapemill.process.liveness import RunId

from .attempts import Attempt, History
from .log import Event
from .run_summary import Failed, RunFacts, replaced

State = Literal["active", "ended", "broken off", "killed", "elsewhere"]
"""`broken off`: Snakemake itself stumbled and ended it before its time. `killed`: its main process is gone and left no
word. `elsewhere`: on another machine, or nobody knows where."""


@dataclass(frozen=True)
class Count:
    """Jobs by what became of them."""

    done: int = 0
    running: int = 0
    failed: int = 0
    to_do: int = 0
    """Not begun, interrupted, or to be tried again."""

    def __add__(self, other: Count) -> Count:
        return Count(
            self.done + other.done, self.running + other.running, self.failed + other.failed, self.to_do + other.to_do
        )

    @property
    def planned(self) -> int:
        """All of them."""
        return self.done + self.running + self.failed + self.to_do


class Course:
    """A run, followed by `update`."""

    def __init__(self, run: str, folder: Path = events.FOLDER) -> None:
        self.run = run
        self.history = History()
        self.started: Event | None = None
        """None if the first line is lost."""
        self.ended: Event | None = None
        self.broken_off: Event | None = None
        self.heard: datetime | None = None
        """Time of the last event."""
        self.workers_started: Counter[str] = Counter()
        """By lane."""
        self._planned: dict[tuple[str, str], int] = {}
        self._lines = events.Follower(run, folder)
        self._was_alive: bool | None = None

    def update(self) -> bool:
        """Read what is new; returns whether there was anything."""
        # Before reading: what a run says last it says while it lives.
        self._was_alive = self._is_alive()
        new = self._lines.new()
        for event in new:
            self._take(event)
        if self._was_alive is None:
            self._was_alive = self._is_alive()
        if self.state == "killed":
            self.history.lose_running()
        return bool(new)

    @property
    def state(self) -> State:
        """What is known of the run's main process."""
        if self.ended is not None:
            return "ended"
        if self.broken_off is not None:
            return "broken off"
        if self._was_alive is None:
            return "elsewhere"
        return "active" if self._was_alive else "killed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in {"ended", "broken off", "killed"}

    @property
    def lanes(self) -> list[Mapping[str, Any]]:
        """Lanes that the profile declares: `name`, `kind`, `jobs` (how many it holds)."""
        return list(self.started.facts.get("lanes", ())) if self.started else []

    def counts(self) -> dict[tuple[str, str], Count]:
        """Jobs by tape (empty if they are no work on tapes) and rule."""
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        gone = {(job.rule, job.tape, job.scene) for job in self._given_up()}
        known = set()
        for attempt in self.history.latest:
            known.add(attempt.names)
            became = "failed" if attempt.names in gone else self._became(attempt)
            found[key_of(attempt.tape, attempt.rule)][became] += 1
        for rule, tape, _ in gone - known:
            found[key_of(tape, rule)]["failed"] += 1
        for key, number in self._planned.items():
            found[key]["to_do"] += max(0, number - found[key].total())
        return {key: Count(**each) for key, each in found.items()}

    def facts(self) -> RunFacts:
        """What the summary of the run says, by the events so far."""
        latest = self.history.latest
        done = [attempt for attempt in latest if attempt.outcome == "done"]
        told = list(self._failed())
        names = {(job.rule, job.tape, job.scene) for job in told}
        stopped = self.ended.facts.get("stopped") if self.ended else None
        return RunFacts(
            failed=tuple(told),
            replaced=tuple(replaced(sorted(map(_note, done), key=lambda note: note.log))),
            tried_again=sum(attempt.number > 1 for attempt in done),
            attempts_lost=sum(attempt.number - 1 for attempt in done),
            lowered=sum(any(each["kind"] == "lowered" for each in _notices(attempt)) for attempt in done),
            interrupted=sum(
                attempt.outcome in {"stopped", "lost"} and attempt.names not in names for attempt in latest
            ),
            not_started=sum(attempt.outcome == "not started" for attempt in latest),
            stopped=AbortReason(str(stopped), "") if stopped else None,
            missing=tuple(map(str, self.ended.facts.get("missing", ()))) if self.ended else (),
        )

    def _take(self, event: Event) -> None:
        self.heard = max(self.heard or event.time, event.time)
        if event.kind == "run_started":
            self.started = event
        elif event.kind == "run_ended":
            self.ended = event
        elif event.kind == "run_broken_off":
            self.broken_off = event
        elif event.kind == "worker_started":
            self.workers_started[str(event.facts.get("lane", ""))] += 1
        if event.kind in {"run_started", "jobs_planned"}:
            self._planned = {
                key_of(tape, rule): int(number)
                for tape, rules in event.facts.get("tapes", {}).items()
                for rule, number in rules.items()
            }
        self.history.add(event)

    def _is_alive(self) -> bool | None:
        """Whether the main process is there; None if nobody knows."""
        facts = self.started.facts if self.started else {}
        pid, _, ticks = str(facts.get("run_id", "")).partition("-")
        if facts.get("host") != socket.gethostname() or not (pid.isdecimal() and ticks.isdecimal()):
            return None
        return RunId(int(pid), int(ticks)).alive

    def _became(self, attempt: Attempt) -> str:
        if attempt.outcome in {"running", "done"}:
            return str(attempt.outcome)
        return "failed" if attempt.outcome == "failed" and self._is_final(attempt) else "to_do"

    def _is_final(self, attempt: Attempt) -> bool:
        """Whether Snakemake does not start the job again."""
        retries = self.started.facts.get("retries") if self.started else None
        spent = retries is not None and attempt.number > int(retries)
        return self.is_over or spent or bool(attempt.facts.get("is_final"))

    def _given_up(self) -> list[Failed]:
        """Jobs that Snakemake called failed when the run ended."""
        return [Failed(**each) for each in self.ended.facts.get("failed", ())] if self.ended else []

    def _failed(self) -> Iterator[Failed]:
        known = set()
        for attempt in sorted(self.history.latest, key=lambda attempt: attempt.log):
            if attempt.outcome == "failed" and self._is_final(attempt):
                known.add(attempt.names)
                log = attempt.facts.get("kept_log") or attempt.log
                yield Failed(*attempt.names, reason=str(attempt.facts.get("reason", "")), log=str(log))
        yield from (job for job in self._given_up() if (job.rule, job.tape, job.scene) not in known)


def key_of(tape: str, rule: str) -> tuple[str, str]:
    """Where a job is counted: its tape, or none, and its rule."""
    # The logs of rules that work on no tape have another word in the tape's place.
    return ("" if stage_of(rule) == OTHER else tape, rule)


def _notices(attempt: Attempt) -> list[dict[str, Any]]:
    return list(attempt.facts.get("notices", ()))


def _note(attempt: Attempt) -> JobNote:
    """What the job's note would say."""
    return attempt_store.JobNote(attempt.log, "done", notices=tuple(JobWarning(**each) for each in _notices(attempt)))


def find(name: str | None, folder: Path = events.FOLDER) -> Course:
    """The latest run, or the one that is called so, as it stands. Raises ConfigError if there is none."""
    known = events.runs(folder)
    if not known:
        raise ConfigError(
            "no run has left events here",
            file=folder,
            remedy="go to the working folder of the run; events are there from the start of its first job",
        )
    fitting = [run for run in known if run.startswith(name or "")]
    if not fitting or (name and len(fitting) > 1 and name not in fitting):
        latest = ", ".join((fitting or known)[-3:])
        raise ConfigError(
            f"{len(fitting) or 'no'} runs here begin with {name}", file=folder, remedy=f"the latest are: {latest}"
        )
    return of_run(name if name in fitting else fitting[-1], folder)


def of_run(run: str, folder: Path = events.FOLDER) -> Course:
    """A run as it stands."""
    course = Course(run, folder)
    course.update()
    return course

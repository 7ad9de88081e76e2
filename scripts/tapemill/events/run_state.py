"""How a run goes, by its events alone: what is planned, done, running and failed; and whether it is still there."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from tapemill import events
from tapemill.core.errors import ConfigError
from tapemill.core.rule_catalog import is_of_tape
from tapemill.process.abort import AbortReason
from tapemill.process.liveness import RunId

from .attempts import Attempt, AttemptLog, names_of_log
from .log import Event
from .run_outcome import LOST, Failed, RunFacts, notices_of, replaced_scenes

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


class RunState:
    """A run, followed by `update`."""

    def __init__(self, run: str, folder: Path = events.FOLDER) -> None:
        self.run = run
        self.history = AttemptLog()
        self.started: Event | None = None
        """None if the first line is lost."""
        self.ended: Event | None = None
        self.broken_off: Event | None = None
        self.last_event_at: datetime | None = None
        """Time of the last event."""
        self.workers_started: Counter[str] = Counter()
        """By lane."""
        self._planned: dict[tuple[str, str], int] = {}
        self._lines = events.EventTail(run, folder)
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
        """Outcome of the run, by the events so far."""
        stopped = self.ended.facts.get("stopped") if self.ended else None
        return replace(
            self._outcome(list(self._failed())),
            stopped=AbortReason(str(stopped), "") if stopped else None,
            missing=tuple(map(str, self.ended.facts.get("missing", ()))) if self.ended else (),
        )

    def outcome_at_end(self, failed_logs: Iterable[str] = ()) -> RunFacts:
        """Outcome of a run whose last job has ended, before its last event is written.

        `failed_logs` are the logs of jobs that Snakemake calls failed: some ended without an event of their own.
        """
        self.history.lose_running()
        latest = {attempt.log: attempt for attempt in self.history.latest}
        failed = [_failed(attempt) for log, attempt in sorted(latest.items()) if attempt.outcome == "failed"]
        for log in sorted(failed_logs):
            attempt = latest.get(log)
            if attempt is None or attempt.outcome in ("lost", "done"):
                was_killed = attempt is not None and attempt.outcome != "done"
                reason = LOST if was_killed else "Snakemake says why, above"
                failed.append(Failed(*names_of_log(log), reason=reason, log=log))
        return self._outcome(failed)

    def _outcome(self, failed: Sequence[Failed]) -> RunFacts:
        latest = self.history.latest
        done = [attempt for attempt in latest if attempt.outcome == "done"]
        names = {(job.rule, job.tape, job.scene) for job in failed}
        interrupted = [each for each in latest if each.outcome in {"stopped", "lost"}]
        return RunFacts(
            failed=tuple(failed),
            replaced=tuple(replaced_scenes(done)),
            tried_again=sum(attempt.number > 1 for attempt in done),
            attempts_lost=sum(attempt.number - 1 for attempt in done),
            lowered=sum(any(notice.kind == "lowered" for notice in notices_of(attempt)) for attempt in done),
            interrupted=sum(attempt.names not in names for attempt in interrupted),
            not_started=sum(attempt.outcome == "not started" for attempt in latest),
        )

    def _take(self, event: Event) -> None:
        self.last_event_at = max(self.last_event_at or event.time, event.time)
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
                yield _failed(attempt)
        yield from (job for job in self._given_up() if (job.rule, job.tape, job.scene) not in known)


def key_of(tape: str, rule: str) -> tuple[str, str]:
    """Where a job is counted: its tape, or none, and its rule."""
    # The logs of rules that work on no tape have another word in the tape's place.
    return (tape if is_of_tape(rule) else "", rule)


def _failed(attempt: Attempt) -> Failed:
    # What is not tried again fails of the same in every attempt; the kept log is that of this one.
    log = attempt.facts.get("kept_log") or attempt.log
    return Failed(*attempt.names, reason=str(attempt.facts.get("reason", "")), log=str(log))


def latest_run(name: str | None, folder: Path = events.FOLDER) -> RunState:
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


def of_run(run: str, folder: Path = events.FOLDER) -> RunState:
    """A run as it stands."""
    course = RunState(run, folder)
    course.update()
    return course

"""State of a run by its events alone: planned, done, running and failed jobs, and whether the run is alive."""

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
from .run_outcome import LOST_REASON, FailedJob, RunOutcome, notices_of, replaced_scenes

RunStatus = Literal["active", "ended", "broken off", "killed", "elsewhere"]
"""`broken off`: an error of Snakemake's own ended it. `killed`: its main process is gone and wrote no last event.
`elsewhere`: on another machine, or unknown."""


@dataclass(frozen=True)
class JobCounts:
    """Numbers of jobs by their state."""

    done: int = 0
    running: int = 0
    failed: int = 0
    to_do: int = 0
    """Not started, interrupted, or to be retried."""

    def __add__(self, other: JobCounts) -> JobCounts:
        return JobCounts(
            self.done + other.done, self.running + other.running, self.failed + other.failed, self.to_do + other.to_do
        )

    @property
    def planned(self) -> int:
        """Sum of all."""
        return self.done + self.running + self.failed + self.to_do


class RunState:
    """State of a run; `update` reads new events."""

    def __init__(self, name: str, folder: Path = events.FOLDER) -> None:
        self.name = name
        self.history = AttemptLog()
        self.started: Event | None = None
        """None if the first line is lost."""
        self.ended: Event | None = None
        self.broken_off: Event | None = None
        self.last_event_at: datetime | None = None
        """Time of the last event."""
        self.workers_started: Counter[str] = Counter()
        """Number of worker starts by lane."""
        self._planned: dict[tuple[str, str], int] = {}
        self._expected_s: dict[tuple[str, str], float] = {}
        self._lines = events.EventTail(name, folder)
        self._was_alive: bool | None = None

    def update(self) -> bool:
        """Read new events; return whether there were any."""
        # Asked before reading: a run writes its last event while it is alive.
        self._was_alive = self._is_alive()
        new = self._lines.new()
        for event in new:
            self._apply_event(event)
        if self._was_alive is None:
            self._was_alive = self._is_alive()
        if self.state == "killed":
            self.history.mark_running_lost()
        return bool(new)

    @property
    def state(self) -> RunStatus:
        """State of the run's main process."""
        if self.ended is not None:
            return "ended"
        if self.broken_off is not None:
            return "broken off"
        if self._was_alive is None:
            return "elsewhere"
        return "active" if self._was_alive else "killed"

    @property
    def is_over(self) -> bool:
        """Whether no more events will follow."""
        return self.state in {"ended", "broken off", "killed"}

    @property
    def lanes(self) -> list[Mapping[str, Any]]:
        """Lanes that the profile declares: `name`, `kind`, `jobs` (how many it holds)."""
        return list(self.started.facts.get("lanes", ())) if self.started else []

    def counts(self) -> dict[tuple[str, str], JobCounts]:
        """Numbers of jobs by tape (empty for jobs of no tape) and rule."""
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        failed = {(job.rule, job.tape, job.scene) for job in self._failed_at_end()}
        known = set()
        for attempt in self.history.latest:
            known.add(attempt.names)
            state = "failed" if attempt.names in failed else self._job_state(attempt)
            found[tape_and_rule(attempt.tape, attempt.rule)][state] += 1
        for rule, tape, _ in failed - known:
            found[tape_and_rule(tape, rule)]["failed"] += 1
        for key, number in self._planned.items():
            found[key]["to_do"] += max(0, number - found[key].total())
        return {key: JobCounts(**each) for key, each in found.items()}

    def expected_job_s(self, tape: str, rule: str) -> float | None:
        """Mean expected time of the jobs of a tape and rule, by the cost model; None if unknown."""
        total_s, jobs = self._expected_s.get((tape, rule)), self._planned.get((tape, rule))
        return total_s / jobs if total_s is not None and jobs else None

    def outcome(self) -> RunOutcome:
        """Outcome of the run by the events so far."""
        stopped = self.ended.facts.get("stopped") if self.ended else None
        return replace(
            self._outcome(list(self._failed())),
            stopped=AbortReason(str(stopped), "") if stopped else None,
            missing=tuple(map(str, self.ended.facts.get("missing", ()))) if self.ended else (),
        )

    def outcome_at_end(self, failed_logs: Iterable[str] = (), signal: str | None = None) -> RunOutcome:
        """Outcome of a run after its last job, before its last event is written.

        `failed_logs` are the logs of jobs that failed by Snakemake's account: some ended without an event. With the
        `signal` that asked the run to stop, these were interrupted.
        """
        self.history.mark_running_lost()
        latest = {attempt.log: attempt for attempt in self.history.latest}
        failed = [_failed_job(attempt) for log, attempt in sorted(latest.items()) if attempt.outcome == "failed"]
        ended_silently = []
        for log in sorted(failed_logs):
            attempt = latest.get(log)
            if attempt is None or attempt.outcome in ("lost", "done"):
                was_killed = attempt is not None and attempt.outcome != "done"
                reason = LOST_REASON if was_killed else "see the message of Snakemake above"
                ended_silently.append(FailedJob(*names_of_log(log), reason=reason, log=log))
        if signal is None:
            return self._outcome([*failed, *ended_silently])
        outcome = self._outcome(failed)
        unseen = sum(latest.get(job.log) is None for job in ended_silently)
        return replace(outcome, signal=signal, interrupted=outcome.interrupted + unseen)

    def _outcome(self, failed: Sequence[FailedJob]) -> RunOutcome:
        latest = self.history.latest
        done = [attempt for attempt in latest if attempt.outcome == "done"]
        names = {(job.rule, job.tape, job.scene) for job in failed}
        interrupted = [each for each in latest if each.outcome in {"stopped", "lost"}]
        return RunOutcome(
            failed=tuple(failed),
            replaced=tuple(replaced_scenes(done)),
            tried_again=sum(attempt.number > 1 for attempt in done),
            attempts_lost=sum(attempt.number - 1 for attempt in done),
            lowered=sum(any(notice.kind == "lowered" for notice in notices_of(attempt)) for attempt in done),
            interrupted=sum(attempt.names not in names for attempt in interrupted),
            not_started=sum(attempt.outcome == "not started" for attempt in latest),
        )

    def _apply_event(self, event: Event) -> None:
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
            self._planned = {key: int(number) for key, number in _by_tape_and_rule(event, "tapes")}
            self._expected_s = dict(_by_tape_and_rule(event, "expected_s"))
        self.history.add(event)

    def _is_alive(self) -> bool | None:
        """Whether the main process is alive; None if unknown."""
        facts = self.started.facts if self.started else {}
        pid, _, ticks = str(facts.get("run_id", "")).partition("-")
        if facts.get("host") != socket.gethostname() or not (pid.isdecimal() and ticks.isdecimal()):
            return None
        return RunId(int(pid), int(ticks)).alive

    def _job_state(self, attempt: Attempt) -> str:
        if attempt.outcome in {"running", "done"}:
            return str(attempt.outcome)
        return "failed" if attempt.outcome == "failed" and self._is_final(attempt) else "to_do"

    def _is_final(self, attempt: Attempt) -> bool:
        """Whether Snakemake will not retry the job."""
        retries = self.started.facts.get("retries") if self.started else None
        spent = retries is not None and attempt.number > int(retries)
        return self.is_over or spent or bool(attempt.facts.get("is_final"))

    def _failed_at_end(self) -> list[FailedJob]:
        """Failed jobs by the last event of the run."""
        return [FailedJob(**each) for each in self.ended.facts.get("failed", ())] if self.ended else []

    def _failed(self) -> Iterator[FailedJob]:
        known = set()
        for attempt in sorted(self.history.latest, key=lambda attempt: attempt.log):
            if attempt.outcome == "failed" and self._is_final(attempt):
                known.add(attempt.names)
                yield _failed_job(attempt)
        yield from (job for job in self._failed_at_end() if (job.rule, job.tape, job.scene) not in known)


def tape_and_rule(tape: str, rule: str) -> tuple[str, str]:
    """Key by which a job is counted: its tape, or an empty name, and its rule."""
    # Logs of rules that work on no tape have another name in the tape's place.
    return (tape if is_of_tape(rule) else "", rule)


def _by_tape_and_rule(event: Event, field: str) -> Iterator[tuple[tuple[str, str], float]]:
    for tape, rules in event.facts.get(field, {}).items():
        for rule, value in rules.items():
            yield tape_and_rule(tape, rule), float(value)


def _failed_job(attempt: Attempt) -> FailedJob:
    # The kept log is the log of this attempt.
    log = attempt.facts.get("kept_log") or attempt.log
    return FailedJob(*attempt.names, reason=str(attempt.facts.get("reason", "")), log=str(log))


def latest_run(name: str | None, folder: Path = events.FOLDER) -> RunState:
    """Load the run of this name, or whose name starts so; without one the latest. Raises ConfigError if none fits."""
    known = events.list_runs(folder)
    if not known:
        raise ConfigError(
            "there are no events of a run here",
            file=folder,
            remedy="go to the working folder of the run; events are there from the start of its first job",
        )
    fitting = [run for run in known if run.startswith(name or "")]
    if not fitting or (name and len(fitting) > 1 and name not in fitting):
        latest = ", ".join((fitting or known)[-3:])
        raise ConfigError(
            f"{len(fitting) or 'no'} runs here begin with {name}", file=folder, remedy=f"the latest are: {latest}"
        )
    return load_run(name if name in fitting else fitting[-1], folder)


def load_run(name: str, folder: Path = events.FOLDER) -> RunState:
    """Load the state of a run by its events so far."""
    run = RunState(name, folder)
    run.update()
    return run

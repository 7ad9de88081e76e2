"""What a run ends with on the terminal: each job that failed and each scene that was replaced, with reason and log.

The facts come from the notes that jobs leave (`attempts`), so that a report can tell the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from tapemill import events
from tapemill.core.job_warnings import JobWarning, Kind
from tapemill.jobs import attempt_store
from tapemill.jobs.attempt_store import JobNote
from tapemill.process import abort, liveness
from tapemill.process.abort import AbortReason

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


def facts(run: str, failed_logs: Iterable[str] = ()) -> RunFacts:
    """How the run with this id ended.

    `failed_logs` are the logs of jobs that Snakemake calls failed: some may have ended without leaving a word.
    """
    notes = {note.log: note for note in attempt_store.of_run(run)}
    unexplained = [log for log in failed_logs if log not in notes or notes[log].state in ("running", "done")]
    done = [note for note in notes.values() if note.state == "done"]
    again = [note for note in done if note.failures]
    interrupted = [log for log, note in notes.items() if note.state in ("running", "stopped")]
    return RunFacts(
        failed=(
            *(_failed(note) for note in notes.values() if note.state == "failed"),
            *(_unexplained(log, notes.get(log)) for log in sorted(unexplained)),
        ),
        replaced=tuple(replaced(done)),
        tried_again=len(again),
        attempts_lost=sum(len(note.failures) for note in again),
        lowered=sum(any(notice.kind == "lowered" for notice in note.notices) for note in done),
        interrupted=len(set(interrupted) - set(unexplained)),
        not_started=sum(note.state == "not started" for note in notes.values()),
        stopped=abort.abort_reason(run),
    )


def _failed(note: JobNote) -> Failed:
    # What is not tried again fails of the same in every attempt, and only the first one's log says all.
    last = note.failures[-1]
    return Failed(*note.names, reason=last.reason, log=last.log or note.log)


def _unexplained(log: str, note: JobNote | None) -> Failed:
    """A job that never came to work, was killed, or whose result Snakemake refused."""
    killed = note is not None and note.state == "running"
    return Failed(*JobNote(log).names, reason=attempt_store.LOST if killed else "Snakemake says why, above", log=log)


def replaced(done: Sequence[JobNote]) -> Iterator[Replaced]:
    """Scenes of jobs that are done: each once for each kind, by the job that replaced it if that was in this run."""
    told: dict[tuple[Kind, str, str], Replaced] = {}
    for note in sorted(done, key=lambda note: any(notice.scene for notice in note.notices)):
        _, tape, own = note.names
        for notice in note.notices:
            scene = notice.scene or own
            if notice.kind in REPLACED:
                told.setdefault((notice.kind, tape, scene), _of(notice, tape, scene, note.log))
    yield from sorted(told.values(), key=lambda each: (each.tape, each.scene, each.kind))


def _of(notice: JobWarning, tape: str, scene: str, log: str) -> Replaced:
    return Replaced(notice.kind, tape, scene, notice.reason, log)


def told(run: RunFacts) -> Iterator[tuple[int, str]]:
    """The facts as text, in blocks, each with its level of logging."""
    if run.stopped:
        yield logging.ERROR, f"The run was stopped, since this would fail all other jobs too: {run.stopped.message}"
    if run.failed:
        lines = [f"{_count(len(run.failed), 'job')} failed:", *map(_line_of_failed, run.failed)]
        yield logging.ERROR, "\n".join(lines)
    if run.replaced:
        count = _count(run.scenes_replaced, "scene")
        lines = [f"{count} could not be processed as asked:", *map(_line_of_replaced, run.replaced)]
        yield logging.WARNING, "\n".join(lines)
    counts = {
        "tried again, then done": run.tried_again,
        "done with less memory than they should have": run.lowered,
        "interrupted": run.interrupted,
        "not started": run.not_started,
    }
    words = [f"{_count(number, 'job')} {what}" for what, number in counts.items() if number]
    if words:
        yield logging.INFO, "; ".join(words) + "."
    if not (run.stopped or run.failed or run.replaced or run.missing or words):
        yield logging.INFO, "Nothing failed, nothing was replaced."


def _line_of_failed(job: Failed) -> str:
    return f"  {' '.join(filter(None, (job.rule, job.tape, job.scene)))}: {job.reason}\n    log: {job.log}"


def _line_of_replaced(scene: Replaced) -> str:
    return f"  {scene.tape} {scene.scene}: {REPLACED[scene.kind]} ({scene.reason})\n    log: {scene.log}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def tell(workflow: Any, logger: logging.Logger, *, is_ok: bool, missing: Sequence[str] = ()) -> None:
    """At the end of a run, in Snakemake's main process: tell the terminal, Snakemake's log and the events.

    `missing` are files that it was to make and that are not there. The caller says so on the terminal.
    """
    run = liveness.own_run()
    found = replace(facts(run.id, _failed_logs(workflow)), missing=tuple(missing))
    plain = asdict(found) | {"stopped": found.stopped and found.stopped.message}
    events.write("run_ended", is_ok=is_ok, **plain)
    for level, text in told(found):
        # As a whole: Snakemake's own log shows the message before its arguments are put in.
        logger.log(level, text)


def _failed_logs(workflow: Any) -> list[str]:
    jobs = [job for each in workflow.scheduler.failed for job in (each if each.is_group() else [each])]
    return [str(Path(job.log[0])) for job in jobs if job.log]

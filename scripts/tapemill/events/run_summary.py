"""Summary at the end of a run: each job that failed and each scene that was replaced, with reason and log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tapemill import events
from tapemill.process import abort, liveness, signals

from .run_outcome import REPLACED_TEXT, FailedJob, ReplacedScene, RunOutcome
from .run_state import load_run


def format_summary(run: RunOutcome) -> Iterator[tuple[int, str]]:
    """Format the outcome as blocks of text, each with its logging level."""
    if run.signal:
        yield (
            logging.WARNING,
            f"The run was stopped by {run.signal} before its end. What is finished stays; the same command goes on.",
        )
    if run.stopped:
        yield logging.ERROR, f"The run was stopped, because all other jobs would fail too: {run.stopped.message}"
    if run.failed:
        lines = [f"{_count(len(run.failed), 'job')} failed:", *map(_line_of_failed, run.failed)]
        yield logging.ERROR, "\n".join(lines)
    if run.replaced:
        count = _count(run.scenes_replaced, "scene")
        lines = [f"{count} could not be processed as requested:", *map(_line_of_replaced, run.replaced)]
        yield logging.WARNING, "\n".join(lines)
    counts = {
        "tried again, then done": run.tried_again,
        "downgraded for lack of memory": run.lowered,
        "interrupted": run.interrupted,
        "not started": run.not_started,
    }
    words = [f"{_count(number, 'job')} {what}" for what, number in counts.items() if number]
    if words:
        yield logging.INFO, "; ".join(words) + "."
    if not (run.signal or run.stopped or run.failed or run.replaced or run.missing or words):
        yield logging.INFO, "Nothing failed, nothing was replaced."


def _line_of_failed(job: FailedJob) -> str:
    return f"  {' '.join(filter(None, (job.rule, job.tape, job.scene)))}: {job.reason}\n    log: {job.log}"


def _line_of_replaced(scene: ReplacedScene) -> str:
    return f"  {scene.tape} {scene.scene}: {REPLACED_TEXT[scene.kind]} ({scene.reason})\n    log: {scene.log}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def print_summary(workflow: Any, logger: logging.Logger, *, is_ok: bool, missing: Sequence[str] = ()) -> None:
    """Print the summary at the end of a run, in Snakemake's main process, and emit it as an event.

    `missing` are requested files that do not exist; the caller prints them.
    """
    outcome = load_run(events.run_name()).outcome_at_end(_failed_logs(workflow), signals.stop_signal())
    found = replace(outcome, stopped=abort.abort_reason(liveness.own_run().id), missing=tuple(missing))
    plain = asdict(found) | {"stopped": found.stopped and found.stopped.message}
    events.emit("run_ended", is_ok=is_ok, **plain)
    for level, text in format_summary(found):
        # Without arguments: Snakemake's own log shows the message before its arguments are put in.
        logger.log(level, text)


def _failed_logs(workflow: Any) -> list[str]:
    jobs = [job for each in workflow.scheduler.failed for job in (each if each.is_group() else [each])]
    return [str(Path(job.log[0])) for job in jobs if job.log]

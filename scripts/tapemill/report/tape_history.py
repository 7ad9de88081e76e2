"""History of a tape: deviations of its scenes, failed attempts, work of each stage.

Deviations are read from the scenes' records, which exist as long as the scenes; attempts from the events of the runs,
as far as they still exist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from tapemill import events
from tapemill.core.result_paths import TapePaths
from tapemill.core.rule_catalog import OTHER, STAGES, stage_of
from tapemill.core.timing import FrameRange
from tapemill.events import attempts as history
from tapemill.events.attempts import Attempt
from tapemill.events.run_outcome import REPLACED_TEXT
from tapemill.records import job_records
from tapemill.records.subtitles import SubtitleRecord

FAILED: Final = ("failed", "lost")
LOWERED: Final = "downgraded for lack of memory"
NOTICES: Final[Mapping[str, str]] = {str(kind): what for kind, what in REPLACED_TEXT.items()} | {"lowered": LOWERED}


@dataclass(frozen=True)
class Deviation:
    """Scene that is not as requested in the tape."""

    scene: str
    kind: str
    """Kind of warning: kept, stands_in, empty, lowered."""
    reason: str

    @property
    def what(self) -> str:
        """Description for people."""
        return NOTICES[self.kind]


@dataclass(frozen=True)
class FailedAttempt:
    """Failed attempt of a job, as a row of a table."""

    rule: str
    scene: str
    number: int
    outcome: str
    reason: str
    log: str
    """Path of its log."""


@dataclass(frozen=True)
class StageWork:
    """Work of a stage for a tape."""

    stage: str
    jobs: int
    seconds: float
    """Sum over its jobs."""
    video_s: float
    """Seconds of the tape that they processed."""

    @property
    def times_real(self) -> float:
        """Seconds of tape per second of work."""
        return self.video_s / self.seconds if self.seconds else 0.0


def deviations(tape: Path, scenes: Iterable[str]) -> list[Deviation]:
    """Deviations from the records of a tape's scenes (in its results folder `tape`), in the order of the scenes."""
    return [each for scene in scenes for each in _scene_deviations(tape, scene)]


def attempts_by_run(folder: Path = events.FOLDER) -> dict[str, list[Attempt]]:
    """All attempts of all runs with events, the latest run last."""
    return {run: history.fold_attempts(events.read_events(run, folder)) for run in events.list_runs(folder)}


def newest_attempts(
    runs: Mapping[str, Sequence[Attempt]],
    tapes: Mapping[str, Collection[str] | None],
    outcomes: Collection[str] = ("done",),
) -> dict[str, tuple[str, Attempt]]:
    """The last attempt of each job of some tapes with one of the outcomes, and its run; by the job's log.

    `tapes` has the names of each tape's scenes, None where they are not known. Jobs of former scenes are ignored, and
    so are those of no stage, such as rendering these pages.
    """

    def is_relevant(attempt: Attempt) -> bool:
        if attempt.outcome not in outcomes or attempt.tape not in tapes or stage_of(attempt.rule) == OTHER:
            return False
        scenes = tapes[attempt.tape]
        return not attempt.scene or scenes is None or attempt.scene in scenes

    return {
        attempt.log: (run, attempt) for run, attempts in runs.items() for attempt in attempts if is_relevant(attempt)
    }


def failed_attempts(
    runs: Mapping[str, Sequence[Attempt]], made: Mapping[str, tuple[str, Attempt]]
) -> list[FailedAttempt]:
    """Failed attempts of the jobs in `made` (`newest_attempts`), in the run of the successful attempt."""
    return [
        failed_attempt(attempt)
        for run, attempts in runs.items()
        for attempt in attempts
        if attempt.outcome in FAILED and attempt.log in made and made[attempt.log][0] == run
    ]


def failed_attempt(attempt: Attempt) -> FailedAttempt:
    """The failed attempt as a row of a table."""
    lost = "ended without a report" if attempt.outcome == "lost" else ""
    reason = str(attempt.facts.get("reason", lost))
    log = str(attempt.facts.get("kept_log") or attempt.log)
    return FailedAttempt(attempt.rule, attempt.scene, attempt.number, attempt.outcome, reason, log)


def work_by_stage(
    made: Mapping[str, tuple[str, Attempt]], scenes: Mapping[str, FrameRange], rate: Fraction
) -> list[StageWork]:
    """Work of each stage for a tape, from the attempts that made it (`newest_attempts`)."""
    jobs: dict[str, int] = {}
    seconds: dict[str, float] = {}
    # Each rule of a stage processes the whole tape.
    covered_s: dict[str, dict[str, float]] = {}
    whole_s = sum(float(span.duration_s(rate)) for span in scenes.values())
    for _, attempt in made.values():
        stage = stage_of(attempt.rule)
        jobs[stage] = jobs.get(stage, 0) + 1
        seconds[stage] = seconds.get(stage, 0.0) + seconds_of(attempt)
        video_s = float(scenes[attempt.scene].duration_s(rate)) if attempt.scene else whole_s
        by_rule = covered_s.setdefault(stage, {})
        by_rule[attempt.rule] = by_rule.get(attempt.rule, 0.0) + video_s
    return [
        StageWork(stage, jobs[stage], seconds[stage], min(whole_s, max(covered_s[stage].values())))
        for stage in STAGES
        if stage in jobs
    ]


def seconds_of(attempt: Attempt) -> float:
    """Duration of an attempt's work in seconds."""
    return float(attempt.facts.get("seconds", attempt.duration.total_seconds()))


def _scene_deviations(tape: Path, scene: str) -> Iterator[Deviation]:
    if clip := job_records.clip_record(tape, scene):
        yield from (Deviation(scene, each.kind, each.reason) for each in clip.warnings())
    for translated in (False, True):
        yield from _subtitle_deviations(TapePaths(tape).subtitles(scene, translated=translated))


def _subtitle_deviations(cues: Path) -> Iterator[Deviation]:
    record = job_records.read(SubtitleRecord, cues.with_suffix(".json"))
    # Cues written by hand since then cancel the failure.
    is_filled = cues.exists() and cues.stat().st_size > 0
    for each in record.warnings() if record else ():
        if not (each.kind == "empty" and is_filled):
            yield Deviation(cues.stem, each.kind, each.reason)

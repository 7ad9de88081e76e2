"""How a tape was made, scene by scene: what is otherwise than asked, what was tried again, what it took.

Replaced scenes and downgrades come from the scenes' records, which last as long as the scenes; attempts come from the
events of the runs, as far as they are still there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from tapemill import events
from tapemill.core.rule_catalog import OTHER, STAGES, stage_of
from tapemill.core.timing import FrameRange
from tapemill.events import attempts as history
from tapemill.events.attempts import Attempt
from tapemill.events.run_outcome import REPLACED
from tapemill.storage import job_records

FAILED: Final = ("failed", "lost")
LOWERED: Final = "done with less memory than it should have had"
NOTICES: Final[Mapping[str, str]] = {str(kind): what for kind, what in REPLACED.items()} | {"lowered": LOWERED}


@dataclass(frozen=True)
class Deviation:
    """A scene that is in the tape otherwise than asked."""

    scene: str
    kind: str
    """A kind of notice: kept, stands_in, empty, lowered."""
    reason: str

    @property
    def what(self) -> str:
        """In words."""
        return NOTICES[self.kind]


@dataclass(frozen=True)
class FailedAttempt:
    """An attempt that did not succeed."""

    rule: str
    scene: str
    number: int
    outcome: str
    reason: str
    log: str
    """Where its log was kept."""


@dataclass(frozen=True)
class StageWork:
    """What a stage took."""

    stage: str
    jobs: int
    seconds: float
    """Of all its jobs together."""
    video_s: float
    """Of the tape that they worked on."""

    @property
    def times_real(self) -> float:
        """Seconds of tape for each second of work."""
        return self.video_s / self.seconds if self.seconds else 0.0


def deviations(tape: Path, scenes: Iterable[str]) -> list[Deviation]:
    """What the records of a tape's scenes (in its results folder) say is not as asked, in the order of the scenes."""
    return [each for scene in scenes for each in _of_scene(tape, scene)]


def attempts_by_run(folder: Path = events.FOLDER) -> dict[str, list[Attempt]]:
    """All attempts of all runs that left events, the latest run last."""
    return {run: history.attempts(events.read(run, folder)) for run in events.runs(folder)}


def newest(
    runs: Mapping[str, Sequence[Attempt]],
    tapes: Mapping[str, Collection[str] | None],
    outcomes: Collection[str] = ("done",),
) -> dict[str, tuple[str, Attempt]]:
    """Of each job of some tapes its last attempt that ended so, with its run; by the job's log.

    `tapes` has the names of each tape's scenes, None where they are not known. Jobs of scenes that are no more do not
    count, nor do those of no stage, such as drawing these pages.
    """

    def counts(attempt: Attempt) -> bool:
        if attempt.outcome not in outcomes or attempt.tape not in tapes or stage_of(attempt.rule) == OTHER:
            return False
        scenes = tapes[attempt.tape]
        return not attempt.scene or scenes is None or attempt.scene in scenes

    return {attempt.log: (run, attempt) for run, attempts in runs.items() for attempt in attempts if counts(attempt)}


def failed_attempts(
    runs: Mapping[str, Sequence[Attempt]], made: Mapping[str, tuple[str, Attempt]]
) -> list[FailedAttempt]:
    """Attempts that failed before the one that `made` (`newest`) what is there now, in the same run."""
    return [
        failed_attempt(attempt)
        for run, attempts in runs.items()
        for attempt in attempts
        if attempt.outcome in FAILED and attempt.log in made and made[attempt.log][0] == run
    ]


def failed_attempt(attempt: Attempt) -> FailedAttempt:
    """An attempt that failed, as a row of a table."""
    lost = "ended without a word" if attempt.outcome == "lost" else ""
    reason = str(attempt.facts.get("reason", lost))
    log = str(attempt.facts.get("kept_log") or attempt.log)
    return FailedAttempt(attempt.rule, attempt.scene, attempt.number, attempt.outcome, reason, log)


def work_by_stage(
    made: Mapping[str, tuple[str, Attempt]], scenes: Mapping[str, FrameRange], rate: Fraction
) -> list[StageWork]:
    """What the stages took for a tape, by the attempts that made it (`newest`)."""
    jobs: dict[str, int] = {}
    seconds: dict[str, float] = {}
    # The rules of a stage go through the same tape one after the other.
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
    """How long it worked."""
    return float(attempt.facts.get("seconds", attempt.duration.total_seconds()))


def _of_scene(tape: Path, scene: str) -> Iterator[Deviation]:
    clip = job_records.clip_record(tape, scene)
    if "kept_original" in clip:
        yield Deviation(scene, "kept", "{error}: {message}".format(**clip["kept_original"]))
    if "stands_in" in clip:
        yield Deviation(scene, "stands_in", str(clip["stands_in"]))
    for network in clip.get("networks", ()):
        if network.get("lowered"):
            yield Deviation(scene, "lowered", f"{network['model']} saw smaller tiles or fewer frames")
    for folder in ("subtitles", "translated"):
        yield from _of_words(tape / folder / f"{scene}.srt")


def _of_words(cues: Path) -> Iterator[Deviation]:
    record = job_records.read(cues.with_suffix(".json"))
    # Where somebody has written cues since, nothing is amiss.
    if "left_empty" in record and not (cues.exists() and cues.stat().st_size):
        yield Deviation(cues.stem, "empty", "{error}: {message}".format(**record["left_empty"]))
    if "lowered" in record:
        lowered = record["lowered"]
        yield Deviation(cues.stem, "lowered", f"heard with {lowered['model']}, beam of {lowered['beam_size']}")

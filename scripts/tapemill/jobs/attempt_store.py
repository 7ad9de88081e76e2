"""What became of the jobs of a run: the notes that they leave beside Snakemake's bookkeeping.

Snakemake tries a failed job again without knowing why it failed. A note says: an error that will not pass is not tried
again, and a job that ran out of memory begins one step lower. After the run the notes of all jobs say what failed, what
was tried again and what was done differently than asked (`of_run`). A job of which there is nothing to say leaves none,
but on a cluster it leaves a note that it is done, for the others of its group (`groups`).

They are for the run that wrote them, and stay until the next one begins (`begin`). No damage is done if the machine
stops while one is written, so nothing is synced to disk.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tapemill.core.errors import OutOfMemory, SceneError, TapemillError, TransientError
from tapemill.core.job_warnings import JobWarning
from tapemill.events.attempts import names_of_log
from tapemill.events.run_outcome import LOST
from tapemill.process import heartbeat

LOG = logging.getLogger("tapemill.jobs")

NOTES = heartbeat.NOTES
JOBS = "jobs"

Kind = Literal["memory", "transient", "lost", "scene", "fatal", "fault"]
"""`memory`, `transient`, `scene`, `fatal`: by the class of the error. `lost`: the job ended without a word, as a killed
process does. `fault`: an error that nobody foresaw."""
State = Literal["running", "failed", "done", "stopped", "not started"]

# What nobody foresaw may be a hiccup of a driver; twice the same hiccup is none.
FAULTS = 2


@dataclass(frozen=True)
class Failure:
    """One attempt that failed."""

    kind: Kind
    error: str
    """Name of its class."""
    message: str
    """All of it, several lines."""
    exit_code: int
    log: str = ""
    """Where the log of this attempt was kept; empty if it is lost."""

    @classmethod
    def of(cls, error: Exception, log: Path) -> Failure:
        """What an exception means for the next attempt."""
        kind: Kind = "fault"
        if isinstance(error, TapemillError):
            kind = "scene" if isinstance(error, SceneError) else "fatal"
            if isinstance(error, TransientError):
                kind = "memory" if isinstance(error, OutOfMemory) else "transient"
        exit_code = error.exit_code if isinstance(error, TapemillError) else TapemillError.exit_code
        return cls(kind, type(error).__name__, str(error), exit_code, str(log))

    @property
    def text(self) -> str:
        """All of it, with its class."""
        return f"{self.error}: {self.message}" if self.error else self.message

    @property
    def reason(self) -> str:
        """In one line."""
        return self.text.partition("\n")[0]


@dataclass(frozen=True)
class JobNote:
    """What there is to say of one job."""

    log: str
    """Its log file, `logs/{rule}/{tape}/{scene}.log`. No two jobs share one."""
    state: State = "running"
    failures: tuple[Failure, ...] = ()
    """One for each attempt that failed, in order."""
    notices: tuple[JobWarning, ...] = ()
    """Of the attempt that succeeded."""
    rests_until_s: float = 0.0
    """When the next attempt may begin, in seconds since 1970. Clocks of two machines may disagree by some seconds."""

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> JobNote:
        """From JSON values."""
        failures = tuple(Failure(**each) for each in plain["failures"])
        notices = tuple(JobWarning(**each) for each in plain["notices"])
        return cls(plain["log"], plain["state"], failures, notices, plain["rests_until_s"])

    @property
    def names(self) -> tuple[str, str, str]:
        """Rule, tape and scene; empty where the job has none."""
        return names_of_log(self.log)

    @property
    def job(self) -> dict[str, Any]:
        """What events say of the job and its next attempt."""
        rule, tape, scene = self.names
        return {"rule": rule, "tape": tape, "scene": scene, "log": self.log, "attempt": len(self.failures) + 1}

    @property
    def is_final(self) -> bool:
        """Whether the last error is one that another attempt cannot heal."""
        if not self.failures:
            return False
        faults = sum(failure.kind == "fault" for failure in self.failures)
        return self.failures[-1].kind in ("scene", "fatal") or faults >= FAULTS


def begin(run: str) -> None:
    """Forget earlier runs. Called once, by the main process of the run with this id."""
    for old in NOTES.iterdir() if NOTES.is_dir() else ():
        if old.name != run:
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()


def steps_down(run: str | None, log: Path) -> int:
    """How many steps below what was asked the job that writes `log` has to begin, in the run with this id."""
    note = _read(run, log)
    return sum(failure.kind == "memory" for failure in note.failures) if note else 0


def before(run: str | None, log: Path) -> JobNote:
    """What the next attempt of the job that writes `log` has to know, in the run with this id (None: in no run).

    An attempt that never said how it ended was lost.
    """
    note = _read(run, log)
    if note is None or note.state == "done":
        return JobNote(str(log))
    if note.state != "running":
        return note
    return replace(note, failures=(*note.failures, Failure("lost", "", LOST, TransientError.exit_code)))


def started(run: str | None, note: JobNote) -> None:
    """Note that an attempt is on its way, after the failures in `note`."""
    _write(run, replace(note, state="running"))


def failed(run: str | None, note: JobNote, failure: Failure) -> None:
    """Note how it ended, if it failed."""
    _write(run, replace(note, state="failed", failures=(*note.failures, failure)))


def postponed(run: str | None, note: JobNote, until_s: float) -> None:
    """Note when the next attempt may begin, after the failures in `note`."""
    _write(run, replace(note, state="failed", rests_until_s=until_s))


def succeeded(run: str | None, note: JobNote, notices: Sequence[JobWarning] = (), *, always: bool = False) -> None:
    """Note how it ended, if it succeeded; `always`, or if there is something to say."""
    if note.failures or notices or always:
        _write(run, replace(note, state="done", notices=tuple(notices)))
    elif run is not None:
        _note(run, Path(note.log)).unlink(missing_ok=True)


def stopped(run: str | None, note: JobNote) -> None:
    """Note that somebody wanted the job to end."""
    _write(run, replace(note, state="stopped"))


def not_started(run: str | None, note: JobNote) -> None:
    """Note that the job was left alone, because the run is about to end."""
    _write(run, replace(note, state="not started"))


def is_done(run: str, log: Path) -> bool:
    """Whether the job that writes `log` left word that it is done."""
    note = _read(run, log)
    return note is not None and note.state == "done"


def of_run(run: str) -> Iterator[JobNote]:
    """The notes of all jobs of a run, in the order of their logs' names."""
    for path in sorted((NOTES / run / JOBS).rglob("*.json")):
        try:
            yield JobNote.from_plain(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError):
            LOG.warning("%s is damaged and left out", path)


def _read(run: str | None, log: Path) -> JobNote | None:
    """The note as it stands; None if there is none, or if it is damaged."""
    if run is None:
        return None
    try:
        return JobNote.from_plain(json.loads(_note(run, log).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _note(run: str, log: Path) -> Path:
    return NOTES / run / JOBS / log.with_suffix(".json")


def _write(run: str | None, note: JobNote) -> None:
    """Whole or not at all. A full disk must not hide the error that was to be noted."""
    if run is None:
        return
    path = _note(run, Path(note.log))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(note)), encoding="utf-8", errors="backslashreplace")
        partial.replace(path)
    except OSError as error:
        LOG.warning("the note %s cannot be written: %s", path, error)

"""Retry records of the jobs of a run: why attempts failed, and when the next one may start.

Snakemake retries a failed job without knowing why it failed. By its record, a permanent error is not retried, and a
job that ran out of memory starts with a smaller model or smaller tiles. A job without failures leaves no record, but
on a cluster it leaves one that it is done, for the other jobs of its group (`cluster.group_cleanup`).

Records are for the run that wrote them, and stay until the next run starts (`remove_old_records`). Losing one in a
power failure does no harm, so nothing is synced to disk. Readers of a run's history use the event log instead.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tapemill.core.errors import OutOfMemory, SceneError, TapemillError, TransientError
from tapemill.events.attempts import names_of_log
from tapemill.events.run_outcome import LOST_REASON
from tapemill.process import heartbeat

LOG = logging.getLogger("tapemill.jobs")

RECORDS = heartbeat.NOTES
JOBS = "jobs"

FailureKind = Literal["memory", "transient", "lost", "scene", "fatal", "fault"]
"""`memory`, `transient`, `scene`, `fatal`: by the class of the error. `lost`: no end was reported, as after a kill.
`fault`: an unexpected exception."""
AttemptState = Literal["running", "failed", "done", "stopped", "not started"]

# One unexpected exception may be a passing error of a driver, two are not.
MAX_FAULTS = 2


@dataclass(frozen=True)
class AttemptFailure:
    """One attempt that failed."""

    kind: FailureKind
    error: str
    """Name of its class."""
    message: str
    """All of it, several lines."""
    exit_code: int
    log: str = ""
    """Path of the kept log of this attempt; empty if it is lost."""

    @classmethod
    def of(cls, error: Exception, log: Path) -> AttemptFailure:
        """Classify an exception by what it means for the next attempt."""
        kind: FailureKind = "fault"
        if isinstance(error, TapemillError):
            kind = "scene" if isinstance(error, SceneError) else "fatal"
            if isinstance(error, TransientError):
                kind = "memory" if isinstance(error, OutOfMemory) else "transient"
        exit_code = error.exit_code if isinstance(error, TapemillError) else TapemillError.exit_code
        return cls(kind, type(error).__name__, str(error), exit_code, str(log))

    @property
    def text(self) -> str:
        """Class and message."""
        return f"{self.error}: {self.message}" if self.error else self.message

    @property
    def reason(self) -> str:
        """First line of `text`."""
        return self.text.partition("\n")[0]


@dataclass(frozen=True)
class RetryRecord:
    """Failed attempts and state of one job. The fields are those of the JSON file."""

    log: str
    """Log of the job, `logs/{rule}/{tape}/{scene}.log`. No two jobs share one."""
    state: AttemptState = "running"
    failures: tuple[AttemptFailure, ...] = ()
    """Failed attempts, in order."""
    rests_until_s: float = 0.0
    """Earliest start of the next attempt, in seconds since 1970. Clocks of two machines may differ by some seconds."""

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> RetryRecord:
        """Build a record from JSON values."""
        failures = tuple(AttemptFailure(**each) for each in plain["failures"])
        return cls(plain["log"], plain["state"], failures, plain["rests_until_s"])

    @property
    def names(self) -> tuple[str, str, str]:
        """Rule, tape and scene; empty where the job has none."""
        return names_of_log(self.log)

    @property
    def job(self) -> dict[str, Any]:
        """Fields of the job and its next attempt in events."""
        rule, tape, scene = self.names
        return {"rule": rule, "tape": tape, "scene": scene, "log": self.log, "attempt": len(self.failures) + 1}

    @property
    def is_final(self) -> bool:
        """Whether another attempt would fail with the same error."""
        if not self.failures:
            return False
        faults = sum(failure.kind == "fault" for failure in self.failures)
        return self.failures[-1].kind in ("scene", "fatal") or faults >= MAX_FAULTS


def remove_old_records(run: str) -> None:
    """Delete the records of earlier runs. Called once, by the main process of the run with this id."""
    for old in RECORDS.iterdir() if RECORDS.is_dir() else ():
        if old.name != run:
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()


def oom_count(run: str | None, log: Path) -> int:
    """Attempts of the job that writes `log` that ran out of memory in this run: steps by which to downgrade it."""
    record = _read(run, log)
    return sum(failure.kind == "memory" for failure in record.failures) if record else 0


def load(run: str | None, log: Path) -> RetryRecord:
    """Load the record of the job that writes `log` for its next attempt, in the run with this id (None: in no run).

    An attempt that did not report its end counts as lost.
    """
    record = _read(run, log)
    if record is None or record.state == "done":
        return RetryRecord(str(log))
    if record.state != "running":
        return record
    return replace(
        record, failures=(*record.failures, AttemptFailure("lost", "", LOST_REASON, TransientError.exit_code))
    )


def record_start(run: str | None, record: RetryRecord) -> None:
    """Record that an attempt has started, after the failures in `record`."""
    _write(run, replace(record, state="running"))


def record_failure(run: str | None, record: RetryRecord, failure: AttemptFailure) -> None:
    """Record that the attempt failed."""
    _write(run, replace(record, state="failed", failures=(*record.failures, failure)))


def record_backoff(run: str | None, record: RetryRecord, until_s: float) -> None:
    """Record the earliest start of the next attempt, in seconds since 1970, after the failures in `record`."""
    _write(run, replace(record, state="failed", rests_until_s=until_s))


def record_success(run: str | None, record: RetryRecord, *, always: bool = False) -> None:
    """Record that the job is done, if earlier attempts failed or `always`; otherwise delete its record."""
    if record.failures or always:
        _write(run, replace(record, state="done"))
    elif run is not None:
        path = _record_path(run, Path(record.log))
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            # The job is done: its results must not be removed for this.
            LOG.warning("the retry record %s cannot be removed: %s", path, error)


def record_stop(run: str | None, record: RetryRecord) -> None:
    """Record that the attempt was stopped by a signal."""
    _write(run, replace(record, state="stopped"))


def record_not_started(run: str | None, record: RetryRecord) -> None:
    """Record that the job did not start because the run is about to end."""
    _write(run, replace(record, state="not started"))


def is_done(run: str, log: Path) -> bool:
    """Whether the job that writes `log` recorded that it is done."""
    record = _read(run, log)
    return record is not None and record.state == "done"


def _read(run: str | None, log: Path) -> RetryRecord | None:
    """Read a record; None if there is none, or if it is damaged or cannot be read now."""
    if run is None:
        return None
    try:
        return RetryRecord.from_plain(json.loads(_record_path(run, log).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record_path(run: str, log: Path) -> Path:
    return RECORDS / run / JOBS / log.with_suffix(".json")


def _write(run: str | None, record: RetryRecord) -> None:
    """Write a record atomically. A full disk must not hide the error to be recorded."""
    if run is None:
        return
    path = _record_path(run, Path(record.log))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(record)), encoding="utf-8", errors="backslashreplace")
        partial.replace(path)
    except OSError as error:
        LOG.warning("the retry record %s cannot be written: %s", path, error)

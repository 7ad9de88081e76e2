"""Event log of a run: JSON lines in `events/`, one object a line (event.schema.yaml).

Jobs and the main process append; `status`, the metrics and the report read. A run has one file on each machine that
takes part in it, because appending is safe against other writers only on a local file system. A line that was cut off,
by a kill or a full disk, is skipped by readers and does not damage the next one.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOG = logging.getLogger("tapemill.events")

FOLDER = Path("events")
SUFFIX = ".jsonl"
# Environment variable with the run's name, for the processes that it starts, also on other machines.
RUN_VARIABLE = "TAPEMILL_EVENTS"


@dataclass(frozen=True)
class Event:
    """One line of the log."""

    time: datetime
    run: str
    """Name of the run. Names sort by the start of the runs."""
    kind: str
    """`run_started`, `job_done`, …: the field `event`."""
    facts: Mapping[str, Any]
    """Its other fields."""


def start_log(run_id: str) -> str:
    """Name the run whose main process this is, for this process and those it starts; return the name."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{_host()}-{run_id}"
    os.environ[RUN_VARIABLE] = name
    return name


def run_name() -> str:
    """Name of the run that this process belongs to; empty outside a run."""
    return os.environ.get(RUN_VARIABLE, "")


def _host() -> str:
    # Without its domain: the part of a file's name before the first dot is the run's name.
    return socket.gethostname().partition(".")[0]


def emit(event: str, **facts: Any) -> None:
    """Append an event to the log of the current run; do nothing outside a run.

    An event that cannot be written is lost, with a warning: no job fails for it.
    """
    run = run_name()
    if not run:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        _append(_path(run), {"time": now, "run": run, "event": event, **facts})
    except OSError as error:
        LOG.warning("an event is lost: %s", error)


def _append(path: Path, values: Mapping[str, Any]) -> None:
    line = json.dumps(values, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"
    path.parent.mkdir(exist_ok=True)
    with path.open("a+b", buffering=0) as stream:
        # Appending is atomic, but the last line may be incomplete; the lock covers the check and the write.
        fcntl.flock(stream, fcntl.LOCK_EX)
        if stream.seek(0, os.SEEK_END) > 0:
            stream.seek(-1, os.SEEK_END)
            line = line if stream.read(1) == b"\n" else b"\n" + line
        stream.write(line)


def list_runs(folder: Path = FOLDER) -> list[str]:
    """Names of all runs with events, the latest last."""
    return sorted({path.name.partition(".")[0] for path in folder.glob(f"*{SUFFIX}")})


def read_events(run: str, folder: Path = FOLDER) -> list[Event]:
    """Read all events of a run, in the order of their times."""
    lines = (line for path in folder.glob(f"{run}.*{SUFFIX}") for line in path.read_bytes().splitlines())
    return sorted(parse_events(lines), key=lambda event: event.time)


class EventTail:
    """Reader of a run's events while they are written, each line once."""

    def __init__(self, run: str, folder: Path = FOLDER) -> None:
        self._run = run
        self._folder = folder
        self._read_bytes: dict[Path, int] = {}

    def new(self) -> list[Event]:
        """Return events since the last call, in the order of their times. An incomplete line is left for the next."""
        found: list[Event] = []
        for path in self._folder.glob(f"{self._run}.*{SUFFIX}"):
            with path.open("rb") as stream:
                stream.seek(self._read_bytes.get(path, 0))
                whole = stream.read().rpartition(b"\n")
            self._read_bytes[path] = self._read_bytes.get(path, 0) + len(whole[0] + whole[1])
            found += parse_events(whole[0].splitlines())
        return sorted(found, key=lambda event: event.time)


def parse_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Parse lines; skip those that are no events."""
    for line in lines:
        try:
            values = dict(json.loads(line))
            when = datetime.fromisoformat(values.pop("time"))
            yield Event(when, str(values.pop("run")), str(values.pop("event")), values)
        except (ValueError, KeyError, TypeError):
            continue


class AttemptEventHandler(logging.Handler):
    """Emitter of the events of one attempt of a job, from its start to its end.

    Progress arrives as log records (`core.progress`), so that it takes the same way from a worker to its client as
    all other lines of the log.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__()
        self._job = job
        self._facts: dict[str, Any] = {}
        self._began_s = time.monotonic()

    def emit_start(self, **facts: Any) -> None:
        """Emit the start of the job script. It may wait before it works."""
        emit("job_started", **self._job, pid=os.getpid(), host=socket.gethostname(), **facts)

    def mark_work_start(self) -> None:
        """Start the clock of the work."""
        self._began_s = time.monotonic()

    def emit_end(self, event: str, **facts: Any) -> None:
        """Emit the end of the attempt, with all facts reported so far."""
        seconds = round(time.monotonic() - self._began_s, 3)
        emit(event, **self._job, seconds=seconds, **self._facts, **facts)

    def emit(self, record: logging.LogRecord) -> None:
        """Emit facts and progress at once, because the job may be killed; facts again at the end."""
        if facts := getattr(record, "job_facts", None):
            if "lane" in facts:
                # The wait for the lane is over.
                self.mark_work_start()
            self._facts.update(facts)
            emit("job_told", **self._job, **facts)
        if (progress := getattr(record, "job_progress", None)) is not None:
            emit("job_progress", **self._job, **progress)


def _path(run: str) -> Path:
    return FOLDER / f"{run}.{_host()}{SUFFIX}"

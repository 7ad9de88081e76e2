"""What happens in a run, while it happens: JSON lines in `events/`, one object a line, as event.schema.yaml says.

Jobs and the main process append; `status`, the metrics and the report read. A run has one file on each machine that
takes part in it, since appending is safe against other writers on a local file system alone. A line that was cut off,
by a kill or a full disk, is left out by readers and does no harm to the next.
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
# Names the run to all that it starts, also on other machines.
VARIABLE = "TAPEMILL_EVENTS"


@dataclass(frozen=True)
class Event:
    """One line."""

    time: datetime
    run: str
    """Name of the run: names sort by the time runs were started."""
    kind: str
    """`run_started`, `job_done`, …: the field `event`."""
    facts: Mapping[str, Any]
    """All other fields."""


def begin(run_id: str) -> str:
    """Name the run whose main process this is; whatever it starts from now on writes events of this run."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{_host()}-{run_id}"
    os.environ[VARIABLE] = name
    return name


def current() -> str:
    """Name of the run that this process belongs to; empty outside a run."""
    return os.environ.get(VARIABLE, "")


def _host() -> str:
    # Without its domain: a file's name is the run's up to the first dot.
    return socket.gethostname().partition(".")[0]


def write(event: str, **facts: Any) -> None:
    """Append an event to the current run's. Without a run there is nowhere to write to.

    What cannot be written is lost: no job fails for it.
    """
    run = current()
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
        # Kernels append whole; but the last line may be half, and nobody is to come between the look and the write.
        fcntl.flock(stream, fcntl.LOCK_EX)
        if stream.seek(0, os.SEEK_END) > 0:
            stream.seek(-1, os.SEEK_END)
            line = line if stream.read(1) == b"\n" else b"\n" + line
        stream.write(line)


def runs(folder: Path = FOLDER) -> list[str]:
    """Names of all runs that left events, the latest last."""
    return sorted({path.name.partition(".")[0] for path in folder.glob(f"*{SUFFIX}")})


def read(run: str, folder: Path = FOLDER) -> list[Event]:
    """All events of a run, in the order of their times."""
    lines = (line for path in folder.glob(f"{run}.*{SUFFIX}") for line in path.read_bytes().splitlines())
    return sorted(parse(lines), key=lambda event: event.time)


class EventTail:
    """Reads a run's events while they are written, each line once."""

    def __init__(self, run: str, folder: Path = FOLDER) -> None:
        self._run = run
        self._folder = folder
        self._read_bytes: dict[Path, int] = {}

    def new(self) -> list[Event]:
        """Events since the last call, in the order of their times. A line without its end waits for the next call."""
        found: list[Event] = []
        for path in self._folder.glob(f"{self._run}.*{SUFFIX}"):
            with path.open("rb") as stream:
                stream.seek(self._read_bytes.get(path, 0))
                whole = stream.read().rpartition(b"\n")
            self._read_bytes[path] = self._read_bytes.get(path, 0) + len(whole[0] + whole[1])
            found += parse(whole[0].splitlines())
        return sorted(found, key=lambda event: event.time)


def parse(lines: Iterable[bytes]) -> Iterator[Event]:
    """Events from lines; what is none is left out."""
    for line in lines:
        try:
            values = dict(json.loads(line))
            when = datetime.fromisoformat(values.pop("time"))
            yield Event(when, str(values.pop("run")), str(values.pop("event")), values)
        except (ValueError, KeyError, TypeError):
            continue


class AttemptEventHandler(logging.Handler):
    """The events of one attempt of a job, from its start to its end.

    What the work tells on its way (`progress`) comes as log records, so that it takes the same way from a worker to its
    client as all other lines do.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__()
        self._job = job
        self._facts: dict[str, Any] = {}
        self._began_s = time.monotonic()

    def started(self, **facts: Any) -> None:
        """The job script runs. It may wait before it works."""
        write("job_started", **self._job, pid=os.getpid(), host=socket.gethostname(), **facts)

    def begins(self) -> None:
        """The work begins."""
        self._began_s = time.monotonic()

    def ended(self, event: str, **facts: Any) -> None:
        """How the attempt ended, with all that was told of it."""
        seconds = round(time.monotonic() - self._began_s, 3)
        write(event, **self._job, seconds=seconds, **self._facts, **facts)

    def emit(self, record: logging.LogRecord) -> None:
        """Write facts and progress at once, as nobody knows whether there will be an end; facts at the end again."""
        if facts := getattr(record, "job_facts", None):
            if "lane" in facts:
                # Until now it waited for its turn.
                self.begins()
            self._facts.update(facts)
            write("job_told", **self._job, **facts)
        if (progress := getattr(record, "job_progress", None)) is not None:
            write("job_progress", **self._job, **progress)


def _path(run: str) -> Path:
    return FOLDER / f"{run}.{_host()}{SUFFIX}"

"""Writer of the events of a run that never ran, with times of the test's choice."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tapemill.process import liveness

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
RUN = "20261121T100000Z-here-1-1"


class Script:
    """Writer of the events of one run. Times are seconds after its start."""

    def __init__(self, folder: str | Path, run: str = RUN) -> None:
        self.run = run
        self.path = Path(folder) / "events" / f"{run}.here.jsonl"
        self.path.parent.mkdir(exist_ok=True)

    def write(self, at_s: float, event: str, **facts: Any) -> None:
        """Write one event."""
        time = (START + timedelta(seconds=at_s)).isoformat(timespec="milliseconds")
        with self.path.open("a") as stream:
            stream.write(json.dumps({"time": time, "run": self.run, "event": event, **facts}) + "\n")

    def begin(
        self,
        tapes: Sequence[str],
        *,
        run_id: str | None = None,
        host: str | None = None,
        lanes: Iterable[str] = (),
        retries: int = 3,
        **more: Any,
    ) -> None:
        """Write the start of the run; by default its main process is this one."""
        facts: dict[str, Any] = {
            "command": ["snakemake", "all"],
            "cores": 4,
            "retries": retries,
            "tapes": tapes,
            "lanes": list(lanes),
            **more,
        }
        own = liveness.run_of(os.getpid())
        run_id = run_id or (own.id if own else None)
        self.write(0, "run_started", run_id=run_id, host=host or socket.gethostname(), **facts)

    def job(
        self,
        start_s: float,
        stop_s: float | None,
        rule: str,
        tape: str = "T01",
        scene: str = "",
        *,
        attempt: int = 1,
        outcome: str = "done",
        lane: str | None = None,
        waits: bool = False,
        **facts: Any,
    ) -> dict[str, Any]:
        """Write one attempt; without `stop_s` it still runs."""
        names = filter(None, (rule, tape, scene))
        job = {"rule": rule, "tape": tape, "scene": scene, "log": f"logs/{'/'.join(names)}.log", "attempt": attempt}
        self.write(start_s, "job_started", **job)
        if lane:
            self.write(start_s, "job_told", **job, waits_for=lane)
        if lane and not waits:
            self.write(start_s, "job_told", **job, lane=lane, is_warm=True)
        if stop_s is None:
            return job
        more: dict[str, dict[str, Any]] = {
            "done": {"notices": []},
            "failed": {"kind": "transient", "is_final": False, "reason": "killed"},
        }
        where = {"lane": lane} if lane else {}
        ending = {**more.get(outcome, {}), **where, **facts}
        self.write(stop_s, f"job_{outcome}", **job, seconds=stop_s - start_s, **ending)
        return job

    def end(self, at_s: float, *, is_ok: bool = True, failed: Iterable[str] = ()) -> None:
        """Write the end of the run."""
        counts = dict.fromkeys(("tried_again", "attempts_lost", "lowered", "interrupted", "not_started"), 0)
        self.write(at_s, "run_ended", is_ok=is_ok, failed=list(failed), replaced=[], stopped=None, **counts)

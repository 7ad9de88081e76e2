"""Runs that were never run: events as they would have been written, with times of the test's choice."""

import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tapemill.process import liveness

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
RUN = "20261121T100000Z-here-1-1"


class Script:
    """Writes the events of one run, `at` so many seconds after its start."""

    def __init__(self, folder, run=RUN):
        self.run = run
        self.path = Path(folder) / "events" / f"{run}.here.jsonl"
        self.path.parent.mkdir(exist_ok=True)

    def write(self, at_s, event, **facts):
        time = (START + timedelta(seconds=at_s)).isoformat(timespec="milliseconds")
        with self.path.open("a") as stream:
            stream.write(json.dumps({"time": time, "run": self.run, "event": event, **facts}) + "\n")

    def begin(self, tapes, *, run_id=None, host=None, lanes=(), retries=3, **more):
        """The run begins; by default its main process is this one."""
        facts = {
            "command": ["snakemake", "all"],
            "cores": 4,
            "retries": retries,
            "tapes": tapes,
            "lanes": list(lanes),
            **more,
        }
        run_id = run_id or liveness.run_of(os.getpid()).id
        self.write(0, "run_started", run_id=run_id, host=host or socket.gethostname(), **facts)

    def job(
        self, start_s, stop_s, rule, tape="T01", scene="", *, attempt=1, outcome="done", lane=None, waits=False, **facts
    ):
        """One attempt; without `stop_s` it still runs."""
        names = filter(None, (rule, tape, scene))
        job = {"rule": rule, "tape": tape, "scene": scene, "log": f"logs/{'/'.join(names)}.log", "attempt": attempt}
        self.write(start_s, "job_started", **job)
        if lane:
            self.write(start_s, "job_told", **job, waits_for=lane)
        if lane and not waits:
            self.write(start_s, "job_told", **job, lane=lane, is_warm=True)
        if stop_s is None:
            return job
        more = {"done": {"notices": []}, "failed": {"kind": "transient", "is_final": False, "reason": "killed"}}
        where = {"lane": lane} if lane else {}
        ending = {**more.get(outcome, {}), **where, **facts}
        self.write(stop_s, f"job_{outcome}", **job, seconds=stop_s - start_s, **ending)
        return job

    def end(self, at_s, *, is_ok=True, failed=()):
        """The run ends."""
        counts = dict.fromkeys(("tried_again", "attempts_lost", "lowered", "interrupted", "not_started"), 0)
        self.write(at_s, "run_ended", is_ok=is_ok, failed=list(failed), replaced=[], stopped=None, **counts)

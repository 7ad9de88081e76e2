"""One run of the command to its end, with or without a fault, and the results it leaves."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tests.crash.kill import TOKEN, processes
from tests.crash.reference_run import is_cut, results, start
from tests.injection.layer import Injection
from tests.support.project import Project, digest, this_checkout

LANES = ("--scheduler", "lanes", "--scheduler-lanes-device", "cpu", "--resources", "gpu0=2")
# Both against hanging only: a run takes ten seconds, and many times that where others use the machine.
ENDS_WITHIN_S = 1800.0
GONE_WITHIN_S = 300.0
POLL_S = 0.01


@dataclass(frozen=True)
class Ended:
    """A run that has ended, and with it all its processes."""

    exit_code: int
    output: str
    length_s: float
    trouble: str
    """Why it had to be killed; empty if it ended by itself."""


def run(project: Project, environment: Mapping[str, str], injection: Injection | None = None) -> Ended:
    """Run the command in a project. Its output and the folders of its user are beside the project's folder."""
    token, beside = uuid.uuid4().hex, project.folder.parent
    own = {"PYTHONPATH": this_checkout(), "COLUMNS": "250", TOKEN: token}
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        own[name] = str(beside / name)
        (beside / name).mkdir(mode=0o700, exist_ok=True)
    if injection:
        own.update(injection.environment)
    started_s = time.monotonic()
    main = start(project, beside / "output", {**own, **environment}, *LANES, cores=2)
    trouble = ""
    while main.poll() is None:
        is_late = time.monotonic() - started_s > ENDS_WITHIN_S
        if is_late or (injection and injection.state().is_hit and injection.kills_run):
            trouble = "hangs" if is_late else ""
            _kill_all(token)
        time.sleep(POLL_S)
    ended_s = time.monotonic()
    while left := processes(token):
        if injection and injection.kills_run:
            _kill_all(token)
        if time.monotonic() - ended_s > GONE_WITHIN_S:
            trouble = f"outlives its run: {left[0].command!r}"
            _kill_all(token)
            break
        time.sleep(POLL_S)
    output = (beside / "output").read_text(errors="replace")
    return Ended(main.returncode, output, time.monotonic() - started_s, trouble)


def kept_results(project: Project) -> dict[str, str]:
    """Digests of the results, by their paths; of pages, which name times, only that they are there. Without cuts."""
    found = {name: path for name, path in results(project).items() if not is_cut(name)}
    return {name: "" if "/report/" in name else digest(path) for name, path in found.items()}


def _kill_all(token: str) -> None:
    for process in processes(token):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)

"""Hand a task to the worker of a lane, starting it if there is none, and pass on what it says until it is done."""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

from tapemill import events
from tapemill.core.errors import WorkerLost
from tapemill.devices import visibility
from tapemill.process.runtime_dirs import allocation, lease_folder

from . import lease
from .protocol import LaneTask, WorkerConfig, read_key, read_pid, short_address, socket_path

LOG = logging.getLogger("tapemill.lanes")

# How often a worker may go away before it has begun with the task. It does so when it was idle too long, or after the
# error of another job; more often than this, something is wrong.
TRIES = 5
# A worker that has nothing to do answers within milliseconds. The rest is for a machine that swaps.
GREETING_S = 60.0
PATIENCE_S = 30.0
TAIL_LINES = 12


class RemoteTraceback(Exception):
    """Where an error happened in the worker: the cause of the error that its client raises."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"in the worker:\n{self.text}"


def submit(task: LaneTask, orders: WorkerConfig) -> Any:
    """Have the task done by the worker of the lane, in the order in which clients come, and return its result.

    Raises what the task raises, with the worker's traceback as cause, and WorkerLost if the worker dies, hangs or
    cannot be started.
    """
    for _ in range(TRIES):
        connection = _connect(orders)
        if connection is None:
            continue
        with connection:
            try:
                connection.send(task)
                _, pid = connection.recv()
            except (OSError, EOFError):
                # It had ended before it began: nothing is lost.
                continue
            return _follow(connection, task, pid, _log_of(orders))
    raise _lost(f"the worker of lane {orders.lane.name} goes away before it begins", _log_of(orders))


def _follow(connection: Connection, task: LaneTask, pid: int, log: Path) -> Any:
    deadline = time.monotonic() + task.limit_s
    while connection.poll(max(0.0, deadline - time.monotonic())):
        try:
            kind, *values = connection.recv()
        except (OSError, EOFError):
            raise _lost(f"the worker (process {pid}) died during {task.label}", log) from None
        if kind == "log":
            logging.getLogger(values[0].name).handle(values[0])
        elif kind == "done":
            return values[0]
        else:
            error, text = values
            raise error from RemoteTraceback(text)
    _kill(pid)
    raise _lost(f"{task.label} did not end within {task.limit_s:.0f} s; the worker (process {pid}) was stopped", log)


def _connect(orders: WorkerConfig) -> Connection | None:
    """A connection that the worker has accepted. None if it went away meanwhile."""
    with _starting(orders):
        connection = _reach(orders)
        if connection is None:
            _start(orders)
            connection = _reach(orders)
    if connection is None:
        return None
    try:
        _await_turn(connection, orders)
        key = read_key(socket_path(orders.run, orders.lane))
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
    except (OSError, EOFError, AuthenticationError):
        connection.close()
        return None
    return connection


def _reach(orders: WorkerConfig) -> Connection | None:
    plug = socket.socket(socket.AF_UNIX)
    try:
        with short_address(socket_path(orders.run, orders.lane)) as address:
            plug.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        plug.close()
        return None
    return Connection(plug.detach())


def _await_turn(connection: Connection, orders: WorkerConfig) -> None:
    """Wait until the worker turns to us. One that neither works nor turns to us, or works too long, is stopped."""
    base, name = lease_folder(), orders.lane.name
    if connection.poll(0.05):
        return
    said = lease.facts(base, name) if orders.lane.exclusive else {}
    LOG.info("waiting for lane %s, %s", name, f"which has {said['doing']}" if said else "which is busy")
    idle_since = time.monotonic()
    while not connection.poll(1.0):
        said = lease.facts(base, name) if orders.lane.exclusive else {}
        limit_s = said.get("limit_s")
        if limit_s is None:
            hangs = time.monotonic() - idle_since > GREETING_S
        else:
            # Its own client stops it at the limit; this is for the case that this client is gone.
            idle_since = time.monotonic()
            hangs = time.time() - float(str(said["since"])) > float(str(limit_s)) + PATIENCE_S
        if hangs:
            LOG.warning("the worker of lane %s does not answer and is stopped", name)
            _kill(read_pid(socket_path(orders.run, orders.lane)))


@contextmanager
def _starting(orders: WorkerConfig) -> Iterator[None]:
    """One client at a time may start the worker of a lane."""
    with socket_path(orders.run, orders.lane).with_suffix(".start").open("a") as door:
        try:
            fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            LOG.info("waiting for lane %s, whose worker is being started", orders.lane.name)
            fcntl.flock(door, fcntl.LOCK_EX)
        yield


def _start(orders: WorkerConfig) -> None:
    """Start the worker and wait until it listens; while it waits for its card, its words go into the log."""
    log = _log_of(orders)
    log.parent.mkdir(parents=True, exist_ok=True)
    mask = visibility.mask_for(orders.lane.kind, orders.lane.number, os.environ)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    began_s = time.monotonic()
    with log.open("ab") as own_log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tapemill.lanes.worker", orders.to_json()],
            env={**os.environ, **mask, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=own_log,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as words:
        for line in _lines(words.fileno(), orders.start_limit_s):
            if line == "ready":
                seconds = round(time.monotonic() - began_s, 3)
                events.write("worker_started", lane=orders.lane.name, pid=process.pid, seconds=seconds)
                return
            if line.startswith("failed "):
                raise pickle.loads(bytes.fromhex(line.removeprefix("failed ")))  # noqa: S301  from our own child
            LOG.info("%s", line)
        if process.poll() is None:
            # Not waited for: a process that hangs inside a driver may not even die.
            _kill(process.pid)
            late = f"did not open its card within {orders.start_limit_s:.0f} s and was stopped"
            raise _lost(f"the worker of lane {orders.lane.name} {late}", log)
    raise _lost(f"the worker of lane {orders.lane.name} ended at its start with exit code {process.wait()}", log)


def _lines(descriptor: int, limit_s: float) -> Iterator[str]:
    """What a worker says, up to its end or a silence of `limit_s`. For its card it may wait as long as need be."""
    text = b""
    waits = False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while poll.poll(None if waits else 1000 * limit_s):
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return
        *lines, text = (text + chunk).split(b"\n")
        for line in lines:
            waits = line.startswith(b"waiting ")
            yield line.decode()


def _log_of(orders: WorkerConfig) -> Path:
    """Where the worker's own output goes: what belongs to no job, and last words of libraries."""
    # Several machines of a cluster may have a lane of that name.
    return Path("logs") / "lanes" / f"{'-'.join(filter(None, [orders.lane.name, allocation()]))}.log"


def _lost(what: str, log: Path) -> WorkerLost:
    tail: list[str] = []
    with suppress(FileNotFoundError):
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return WorkerLost(
        what,
        file=log,
        stderr_tail=tail,
        remedy="it is tried again by a fresh worker; if it stays so, look for its end in the system log",
    )


def _kill(pid: int) -> None:
    # A worker leads its own process group.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

"""Client of a lane's worker: start it if necessary, submit a task, forward its logs, return its result."""

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

# How often a worker may exit before it starts the task. It exits when idle too long, or after an error of another job;
# more often than this, something is wrong.
TRIES = 5
# An idle worker answers within milliseconds; the margin is for a machine that swaps.
GREETING_S = 60.0
PATIENCE_S = 30.0
TAIL_LINES = 12


class RemoteTraceback(Exception):
    """Traceback of an error in the worker: the cause of the error that its client raises."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"in the worker:\n{self.text}"


def submit(task: LaneTask, config: WorkerConfig) -> Any:
    """Run the task in the worker of the lane, first come first served, and return its result.

    Raises what the task raises, with the worker's traceback as cause, and WorkerLost if the worker dies, hangs or
    cannot be started.
    """
    for _ in range(TRIES):
        connection = _connect(config)
        if connection is None:
            continue
        with connection:
            try:
                connection.send(task)
                _, pid = connection.recv()
            except (OSError, EOFError):
                # It exited before it started the task: nothing is lost.
                continue
            return _receive_result(connection, task, pid, _log_of(config))
    raise _lost(f"the worker of lane {config.lane.name} goes away before it begins", _log_of(config))


def _receive_result(connection: Connection, task: LaneTask, pid: int, log: Path) -> Any:
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


def _connect(config: WorkerConfig) -> Connection | None:
    """Return a connection that the worker has accepted; None if it exited meanwhile."""
    with _start_lock(config):
        connection = _open_socket(config)
        if connection is None:
            _start(config)
            connection = _open_socket(config)
    if connection is None:
        return None
    try:
        _wait_for_turn(connection, config)
        key = read_key(socket_path(config.run, config.lane))
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
    except (OSError, EOFError, AuthenticationError):
        connection.close()
        return None
    return connection


def _open_socket(config: WorkerConfig) -> Connection | None:
    client_socket = socket.socket(socket.AF_UNIX)
    try:
        with short_address(socket_path(config.run, config.lane)) as address:
            client_socket.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        client_socket.close()
        return None
    return Connection(client_socket.detach())


def _wait_for_turn(connection: Connection, config: WorkerConfig) -> None:
    """Wait until the worker accepts the connection. A worker that hangs, idle or at work, is killed."""
    base, name = lease_folder(), config.lane.name
    if connection.poll(0.05):
        return
    holder = lease.facts(base, name) if config.lane.exclusive else {}
    LOG.info("waiting for lane %s, %s", name, f"which has {holder['doing']}" if holder else "which is busy")
    idle_since = time.monotonic()
    while not connection.poll(1.0):
        holder = lease.facts(base, name) if config.lane.exclusive else {}
        limit_s = holder.get("limit_s")
        if limit_s is None:
            hangs = time.monotonic() - idle_since > GREETING_S
        else:
            # Its own client kills it at the limit; this is for the case that this client is gone.
            idle_since = time.monotonic()
            hangs = time.time() - float(str(holder["since"])) > float(str(limit_s)) + PATIENCE_S
        if hangs:
            LOG.warning("the worker of lane %s does not answer and is stopped", name)
            _kill(read_pid(socket_path(config.run, config.lane)))


@contextmanager
def _start_lock(config: WorkerConfig) -> Iterator[None]:
    """Lock by which one client at a time may start the worker of a lane."""
    with socket_path(config.run, config.lane).with_suffix(".start").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            LOG.info("waiting for lane %s, whose worker is being started", config.lane.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(config: WorkerConfig) -> None:
    """Start the worker and wait until it listens; while it waits for its GPU, its messages are logged."""
    log = _log_of(config)
    log.parent.mkdir(parents=True, exist_ok=True)
    mask = visibility.mask_for(config.lane.kind, config.lane.number, os.environ)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    start_s = time.monotonic()
    with log.open("ab") as own_log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tapemill.lanes.worker", config.to_json()],
            env={**os.environ, **mask, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=own_log,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as output:
        for line in _lines(output.fileno(), config.start_limit_s):
            if line == "ready":
                seconds = round(time.monotonic() - start_s, 3)
                events.emit("worker_started", lane=config.lane.name, pid=process.pid, seconds=seconds)
                return
            if line.startswith("failed "):
                raise pickle.loads(bytes.fromhex(line.removeprefix("failed ")))  # noqa: S301  from our own child
            LOG.info("%s", line)
        if process.poll() is None:
            # Not waited for: a process that hangs inside a driver may not even be killable.
            _kill(process.pid)
            late = f"did not open its GPU within {config.start_limit_s:.0f} s and was stopped"
            raise _lost(f"the worker of lane {config.lane.name} {late}", log)
    raise _lost(f"the worker of lane {config.lane.name} ended at its start with exit code {process.wait()}", log)


def _lines(descriptor: int, limit_s: float) -> Iterator[str]:
    """Yield output lines of a worker until it exits or is silent for `limit_s`; waiting for its GPU is not limited."""
    text = b""
    is_waiting = False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while poll.poll(None if is_waiting else 1000 * limit_s):
        chunk = os.read(descriptor, 1 << 16)
        if not chunk:
            return
        *lines, text = (text + chunk).split(b"\n")
        for line in lines:
            is_waiting = line.startswith(b"waiting ")
            yield line.decode()


def _log_of(config: WorkerConfig) -> Path:
    """Return the log of the worker's own output: messages outside of jobs, and crashes of libraries."""
    # Several machines of a cluster may have a lane of the same name.
    return Path("logs") / "lanes" / f"{'-'.join(filter(None, [config.lane.name, allocation()]))}.log"


def _lost(what: str, log: Path) -> WorkerLost:
    tail: list[str] = []
    with suppress(FileNotFoundError):
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return WorkerLost(
        what,
        file=log,
        stderr_tail=tail,
        remedy="it is retried in a new worker; if it fails again, check the system log",
    )


def _kill(pid: int) -> None:
    # A worker leads its own process group.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

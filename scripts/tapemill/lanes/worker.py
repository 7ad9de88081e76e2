"""Worker: the warm process of a lane. Started with its GPU's mask, it runs the jobs of one run, one at a time.

Started by `client`, with its configuration as the only argument; prints "waiting ..." or "ready" on standard output. It
exits with the run, when idle too long, when another run wants the GPU, when its client disconnects during a job, and
after any error of memory or GPU, since only a new process is surely free of it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import pickle
import secrets
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from typing import Any

from tapemill.core.errors import DeviceError, OutOfMemory, TapemillError
from tapemill.devices.device import Device
from tapemill.lanes.gpu_registry import bind_device, renice
from tapemill.process.liveness import watch
from tapemill.process.runtime_dirs import lease_folder
from tapemill.process.signals import stoppable

from . import lease
from .dispatch import report_device_use
from .protocol import LaneTask, WorkerConfig, publish_key, run_task, short_address, socket_path

TICK_S = 0.5
LISTEN_BACKLOG = 64
CLEAN_UP_S = 2.0


class LogForwarder(logging.handlers.QueueHandler):
    """Log handler that sends records to the current client, if there is one."""

    def __init__(self) -> None:
        super().__init__(queue=None)  # type: ignore[arg-type]
        self.connection: Connection | None = None
        self._sending = threading.Lock()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record that can be pickled (called by logging)."""
        self.send(("log", record))

    def send(self, message: Any) -> None:
        """Send a message to the client; thread-safe. A client that has disconnected is no error."""
        with self._sending, suppress(OSError):
            if self.connection is not None:
                self.connection.send(message)


class Worker:
    """Server of one lane until the process exits."""

    def __init__(
        self, config: WorkerConfig, device: Device, gpu_lease: lease.Lease | None, forwarder: LogForwarder
    ) -> None:
        self._config = config
        self._device = device
        self._lease = gpu_lease
        self._forwarder = forwarder
        self._address = socket_path(config.run, config.lane)
        self._idle_since: float | None = time.monotonic()
        self._turn = threading.Lock()

    def serve(self, ready: Callable[[], None]) -> None:
        """Run jobs, first come first served. `ready` is called when clients may connect. Does not return."""
        self._address.unlink(missing_ok=True)
        key = secrets.token_bytes(32)
        publish_key(self._address, key)
        with short_address(self._address) as address:
            listener = Listener(address, "AF_UNIX", backlog=LISTEN_BACKLOG, authkey=key)
        self._address.chmod(0o600)
        threading.Thread(target=self._exit_when_idle, daemon=True).start()
        ready()
        while True:
            try:
                connection = listener.accept()
            except (OSError, EOFError, AuthenticationError):
                # A client that disconnected while it waited, or one without the key.
                continue
            self._begin()
            with connection:
                self._answer(connection)
            self._end()

    def _begin(self) -> None:
        with self._turn:
            self._idle_since = None

    def _end(self) -> None:
        with self._turn:
            self._idle_since = time.monotonic()

    def _answer(self, connection: Connection) -> None:
        try:
            task: LaneTask = connection.recv()
        except (EOFError, OSError):
            return
        self._update_lease(task.label, task.limit_s)
        self._forwarder.connection = connection
        self._forwarder.send(("started", os.getpid()))
        answered = threading.Event()
        threading.Thread(target=_watch_client, args=(connection, answered), daemon=True).start()
        where = f"worker {os.getpid()}"
        try:
            with stoppable(), report_device_use(self._config.lane.name, self._device, where=where, is_warm=True):
                message: Any = ("done", run_task(_with_device(task, self._device)))
            must_exit = False
        except BaseException as error:  # noqa: BLE001  whatever it is, the client raises it
            message = ("failed", *_portable(error))
            must_exit = not isinstance(error, TapemillError) or isinstance(error, OutOfMemory | DeviceError)
        if must_exit:
            # Before the client gets the error and the next one connects.
            self._address.unlink(missing_ok=True)
        answered.set()
        self._update_lease("idle")
        self._forwarder.send(message)
        self._forwarder.connection = None
        if must_exit:
            os._exit(0)

    def _update_lease(self, doing: str, limit_s: float | None = None) -> None:
        if self._lease is not None:
            self._lease.update(doing, limit_s)

    def _exit_when_idle(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._turn:
                if self._idle_since is None:
                    continue
                idle_s = time.monotonic() - self._idle_since
                wanted = self._lease is not None and lease.is_wanted(lease_folder(), self._config.lane.name)
                if idle_s > self._config.idle_s or (wanted and idle_s > TICK_S):
                    self._address.unlink(missing_ok=True)
                    os._exit(0)


def _with_device(task: LaneTask, device: Device) -> LaneTask:
    """Return the task with this worker's device, keeping the job's degrade level."""
    return replace(task, device=replace(device, degrade_level=task.device.degrade_level))


def _portable(error: BaseException) -> tuple[BaseException, str]:
    """Return the error, replaced if it cannot be pickled, and its traceback as text."""
    text = "".join(traceback.format_exception(error))
    error.__cause__ = error.__context__ = None
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  our own, to check that it survives
    except Exception:  # noqa: BLE001  an exception may fail in any way when pickled
        return RuntimeError(f"{type(error).__name__}: {error}"), text
    return error, text


def _watch_client(connection: Connection, answered: threading.Event) -> None:
    """End this process when the client of a running job disconnects: nobody needs the result any more.

    The job is stopped like a job script, so that it removes unfinished files; unless it takes too long.
    """
    poll = select.poll()
    # The client sends nothing after its task, so that any event means the end of the connection.
    poll.register(connection.fileno(), select.POLLRDHUP)
    poll.poll()
    if not answered.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(CLEAN_UP_S)
        os._exit(1)


def main() -> None:
    """Entry point of the process."""
    config = WorkerConfig.from_json(sys.argv[1])
    watch(config.run, lambda: os._exit(0))
    forwarder = LogForwarder()
    # Only the message is formatted here; time, level and name are in the record, for the job's log.
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[forwarder])
    renice(config.nice)

    def emit(line: str) -> None:
        print(line, flush=True)  # noqa: T201  read by the client

    name = config.lane.name
    gpu_lease = lease.acquire(lease_folder(), name, f"run {config.run.pid}", emit) if config.lane.exclusive else None
    try:
        device = bind_device(config.lane, config.memory_share)
    except TapemillError as error:
        emit("failed " + pickle.dumps(error).hex())
        sys.exit(error.exit_code)

    def ready() -> None:
        emit("ready")
        # The client stops reading here; output of libraries goes to the worker's own log.
        os.dup2(2, 1)

    Worker(config, device, gpu_lease, forwarder).serve(ready)


if __name__ == "__main__":
    main()

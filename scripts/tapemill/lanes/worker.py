"""The resident process of a lane: born with its card's mask, it serves the jobs of one run, one at a time.

Started by `client`, with its orders as the only argument; says "waiting ..." or "ready" on its standard output. It ends
with the run, when idle too long, when another run wants the card, when its client goes away in the middle of a job, and
after any error of memory or card, since only a fresh process is surely free of it.
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
BACKLOG = 64
CLEANING_S = 2.0


class LogForwarder(logging.handlers.QueueHandler):
    """Sends log records to the client of the moment, if there is one."""

    def __init__(self) -> None:
        super().__init__(queue=None)  # type: ignore[arg-type]
        self.connection: Connection | None = None
        self._sending = threading.Lock()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Called by logging with a record that can be pickled."""
        self.send(("log", record))

    def send(self, message: Any) -> None:
        """One message to the client; threads of a job may log at the same time. A client that has gone is no error."""
        with self._sending, suppress(OSError):
            if self.connection is not None:
                self.connection.send(message)


class Worker:
    """Serves one lane until it has to go."""

    def __init__(
        self, orders: WorkerConfig, device: Device, held: lease.Lease | None, forwarding: LogForwarder
    ) -> None:
        self._orders = orders
        self._device = device
        self._held = held
        self._forwarding = forwarding
        self._address = socket_path(orders.run, orders.lane)
        self._idle_since: float | None = time.monotonic()
        self._turn = threading.Lock()

    def serve(self, ready: Callable[[], None]) -> None:
        """Take jobs, first come first served. `ready` is called when clients may come. Does not return."""
        self._address.unlink(missing_ok=True)
        key = secrets.token_bytes(32)
        publish_key(self._address, key)
        with short_address(self._address) as address:
            listener = Listener(address, "AF_UNIX", backlog=BACKLOG, authkey=key)
        self._address.chmod(0o600)
        threading.Thread(target=self._mind_the_time, daemon=True).start()
        ready()
        while True:
            try:
                connection = listener.accept()
            except (OSError, EOFError, AuthenticationError):
                # A client that went away while it waited, or one that does not know the key.
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
        self._tell(task.label, task.limit_s)
        self._forwarding.connection = connection
        self._forwarding.send(("started", os.getpid()))
        answered = threading.Event()
        threading.Thread(target=_leave_with, args=(connection, answered), daemon=True).start()
        where = f"worker {os.getpid()}"
        try:
            with stoppable(), report_device_use(self._orders.lane.name, self._device, where=where, is_warm=True):
                message: Any = ("done", run_task(_on(task, self._device)))
            leave = False
        except BaseException as error:  # noqa: BLE001  whatever it is, the client raises it
            message = ("failed", *_portable(error))
            leave = not isinstance(error, TapemillError) or isinstance(error, OutOfMemory | DeviceError)
        if leave:
            # Before the client hears of it and the next one comes.
            self._address.unlink(missing_ok=True)
        answered.set()
        self._tell("idle")
        self._forwarding.send(message)
        self._forwarding.connection = None
        if leave:
            os._exit(0)

    def _tell(self, doing: str, limit_s: float | None = None) -> None:
        if self._held is not None:
            self._held.tell(doing, limit_s)

    def _mind_the_time(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._turn:
                if self._idle_since is None:
                    continue
                idle_s = time.monotonic() - self._idle_since
                wanted = self._held is not None and lease.is_wanted(lease_folder(), self._orders.lane.name)
                if idle_s > self._orders.idle_s or (wanted and idle_s > TICK_S):
                    self._address.unlink(missing_ok=True)
                    os._exit(0)


def _on(task: LaneTask, device: Device) -> LaneTask:
    """The task with this worker's card; how far to step down is the job's own affair."""
    return replace(task, device=replace(device, degrade_level=task.device.degrade_level))


def _portable(error: BaseException) -> tuple[BaseException, str]:
    """The error, if it can be sent, and its traceback as text."""
    text = "".join(traceback.format_exception(error))
    error.__cause__ = error.__context__ = None
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  our own, to see whether it survives
    except Exception:  # noqa: BLE001  whatever a strange exception does when it is copied
        return RuntimeError(f"{type(error).__name__}: {error}"), text
    return error, text


def _leave_with(connection: Connection, answered: threading.Event) -> None:
    """End this process when the client of a running job is gone: nobody waits for the result any more.

    The job is stopped as a job script is, so that nothing half-made is left; unless it takes too long.
    """
    poll = select.poll()
    # The client sends nothing after its task, so that any event means the end of the connection.
    poll.register(connection.fileno(), select.POLLRDHUP)
    poll.poll()
    if not answered.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(CLEANING_S)
        os._exit(1)


def main() -> None:
    """Entry of the process."""
    orders = WorkerConfig.from_json(sys.argv[1])
    watch(orders.run, lambda: os._exit(0))
    forwarding = LogForwarder()
    # Only the message travels: when, how bad and by whom is in the record, and the job's log lays it out.
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[forwarding])
    renice(orders.nice)

    def say(line: str) -> None:
        print(line, flush=True)  # noqa: T201  read by the client

    name = orders.lane.name
    held = lease.acquire(lease_folder(), name, f"run {orders.run.pid}", say) if orders.lane.exclusive else None
    try:
        device = bind_device(orders.lane, orders.memory_share)
    except TapemillError as error:
        say("failed " + pickle.dumps(error).hex())
        sys.exit(error.exit_code)

    def ready() -> None:
        say("ready")
        # Whoever started us will read no more; what libraries print belongs into the worker's own log.
        os.dup2(2, 1)

    Worker(orders, device, held, forwarding).serve(ready)


if __name__ == "__main__":
    main()

"""What a worker and its clients agree on: its orders, where it listens, and the key that opens the door."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tapemill.devices.device import Device
from tapemill.devices.errors import translate_device_errors
from tapemill.media import ffmpeg
from tapemill.process.liveness import RunId
from tapemill.process.runtime_dirs import run_folder

from .lane import Lane


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is told at its birth."""

    lane: Lane
    run: RunId
    idle_s: float
    memory_share: float
    nice: int
    start_limit_s: float
    """After so long without its card open it hangs."""

    def to_json(self) -> str:
        """For a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerConfig:
        """The reverse."""
        values = json.loads(text)
        return cls(**{**values, "lane": Lane(**values["lane"]), "run": RunId(**values["run"])})


def socket_path(run: RunId, lane: Lane) -> Path:
    """Where the worker of a lane listens."""
    return run_folder(run) / f"{lane.name}.sock"


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """Another name of a socket, for this process during the block: a path to one may have 107 bytes only (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def publish_key(address: Path, key: bytes) -> None:
    """Lay the key and our process number beside the socket, for this user alone. Done before the socket is there."""
    address.with_suffix(".pid").write_text(str(os.getpid()), encoding="ascii")
    path = address.with_suffix(".key")
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(key)


def read_key(address: Path) -> bytes:
    """The key of the worker that listens there. Raises FileNotFoundError."""
    return address.with_suffix(".key").read_bytes()


def read_pid(address: Path) -> int:
    """The process number of this worker. Raises FileNotFoundError."""
    return int(address.with_suffix(".pid").read_text(encoding="ascii"))


@dataclass(frozen=True)
class LaneTask:
    """One call. Everything in it can be pickled."""

    function: str
    """As module:name."""
    arguments: Mapping[str, Any]
    device: Device
    label: str
    """The job, as people read it."""
    ffmpeg: str | None
    limit_s: float
    """After this time the job hangs."""


def name_of(function: Callable[..., Any]) -> str:
    """The name under which another process finds a function. Raises ValueError for one that is inside another."""
    if "<" in function.__qualname__:
        raise ValueError(f"{function.__qualname__} cannot be found by another process")
    return f"{function.__module__}:{function.__qualname__}"


def run_task(task: LaneTask) -> Any:
    """Call the function of the task here and now. Raises what it raises; of the card, OutOfMemory and DeviceError."""
    module, _, name = task.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    ffmpeg.set_binary(task.ffmpeg)
    with translate_device_errors(task.device):
        return function(**task.arguments, device=task.device)

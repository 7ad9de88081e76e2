"""Protocol of a worker and its clients: configuration, socket path, authentication key, tasks."""

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
    """Configuration of a worker, passed on its command line."""

    lane: Lane
    run: RunId
    idle_s: float
    memory_share: float
    nice: int
    start_limit_s: float
    """A worker that has not opened its GPU after this time is considered hung."""

    def to_json(self) -> str:
        """Serialise for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WorkerConfig:
        """Parse the output of `to_json`."""
        values = json.loads(text)
        return cls(**{**values, "lane": Lane(**values["lane"]), "run": RunId(**values["run"])})


def socket_path(run: RunId, lane: Lane) -> Path:
    """Return the socket path of a lane's worker."""
    return run_folder(run) / f"{lane.name}.sock"


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """Yield a short name of a socket for this process during the block: paths are limited to 107 bytes (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def publish_key(address: Path, key: bytes) -> None:
    """Write the key and the process id beside the socket, readable by this user only, before the socket exists."""
    address.with_suffix(".pid").write_text(str(os.getpid()), encoding="ascii")
    path = address.with_suffix(".key")
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(key)


def read_key(address: Path) -> bytes:
    """Read the key of the worker at this socket. Raises FileNotFoundError."""
    return address.with_suffix(".key").read_bytes()


def read_pid(address: Path) -> int:
    """Read the process id of the worker at this socket. Raises FileNotFoundError."""
    return int(address.with_suffix(".pid").read_text(encoding="ascii"))


@dataclass(frozen=True)
class LaneTask:
    """One function call; everything in it can be pickled."""

    function: str
    """As module:name."""
    arguments: Mapping[str, Any]
    device: Device
    label: str
    """The job, for messages."""
    ffmpeg: str | None
    limit_s: float
    """After this time the job is considered hung."""


def name_of(function: Callable[..., Any]) -> str:
    """Return the name by which another process imports a function. Raises ValueError for a nested function."""
    if "<" in function.__qualname__:
        raise ValueError(f"{function.__qualname__} cannot be found by another process")
    return f"{function.__module__}:{function.__qualname__}"


def run_task(task: LaneTask) -> Any:
    """Run the task in this process. Raises what it raises; errors of the GPU as OutOfMemory and DeviceError."""
    module, _, name = task.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    ffmpeg.set_binary(task.ffmpeg)
    with translate_device_errors(task.device):
        return function(**task.arguments, device=task.device)

"""What a worker and its clients agree on: its orders, where it listens, and the key that opens the door."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ..lifeline import Run
from .lane import Lane
from .runtime import run_folder


@dataclass(frozen=True)
class Orders:
    """What a worker is told at its birth."""

    lane: Lane
    run: Run
    idle_s: float
    memory_share: float
    nice: int
    start_limit_s: float
    """After so long without its card open it hangs."""

    def to_json(self) -> str:
        """For a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Orders:
        """The reverse."""
        values = json.loads(text)
        return cls(**{**values, "lane": Lane(**values["lane"]), "run": Run(**values["run"])})


def socket_of(run: Run, lane: Lane) -> Path:
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


def announce(address: Path, key: bytes) -> None:
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

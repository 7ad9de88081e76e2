"""Fault layer: built from layer.c, and the environment that loads it into all processes of a run."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.injection.points import Point

SOURCE = Path(__file__).with_name("layer.c")
# `struct state` of layer.c: calls, whether one was hit, process, path.
STATE = struct.Struct("iii4096s")


def build(folder: Path) -> Path:
    """Compile the layer with the C compiler of the machine (`cc`, or CC)."""
    library, partial = folder / "layer.so", folder / f"layer.{os.getpid()}.so"
    options = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([os.environ.get("CC", "cc"), *options, "-o", str(partial), str(SOURCE), "-ldl"], check=True)
    # Another session may use the same folder at this moment.
    return partial.replace(library)


def recording(library: Path, project: Path, record: Path) -> dict[str, str]:
    """Environment of a run whose calls are recorded."""
    return {"LD_PRELOAD": str(library), "INJECTION_FOLDER": str(project.resolve()), "INJECTION_RECORD": str(record)}


@dataclass(frozen=True)
class Hit:
    """State that all processes of a run share."""

    calls: int
    """Calls of the site so far."""
    is_hit: bool
    pid: int
    path: str
    """File of the call that failed, in the project."""


class Injection:
    """One call that is to fail in a run."""

    def __init__(self, library: Path, project: Path, point: Point) -> None:
        state = project.with_name("injection")
        state.write_bytes(bytes(STATE.size))
        with state.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), STATE.size)
        self.kills_run = point.fault == "kill-run"
        self.environment = {
            "LD_PRELOAD": str(library),
            "INJECTION_FOLDER": str(project.resolve()),
            "INJECTION_POINT": "\t".join(map(str, (*point.site, point.number, point.fault))),
            "INJECTION_STATE": str(state),
        }

    def state(self) -> Hit:
        """Return what has happened so far."""
        calls, hit, pid, path = STATE.unpack(self._shared)
        return Hit(calls, bool(hit), pid, path.partition(b"\0")[0].decode())

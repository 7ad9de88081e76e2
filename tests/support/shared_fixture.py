"""Fixtures that all workers of a test run share: the first worker makes it, the others wait for it under a lock."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import pytest
from filelock import FileLock

Value = TypeVar("Value")


def made_once(factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], Value]) -> Value:
    """Return `make(folder)`, made by one worker of the run only.

    `worker_id` is the fixture of pytest-xdist. The value must be picklable; no test may change it or the files in the
    folder.
    """
    base = factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    folder = base / f"shared_{name}"
    value = base / f"shared_{name}.pickle"
    with FileLock(base / f"shared_{name}.lock"):
        if not value.exists():
            folder.mkdir()
            made = make(folder)
            value.write_bytes(pickle.dumps(made))
            return made
        return cast(Value, pickle.loads(value.read_bytes()))

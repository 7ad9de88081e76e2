"""Waiting for other processes."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], object], seconds: float = 20.0, message: str = "waited in vain") -> None:
    """Wait until the condition holds, at most `seconds`; fail with `message` after that."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.02)

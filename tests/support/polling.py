"""Waiting for what other processes do."""

import time


def wait_for(condition, seconds=20.0, told="waited in vain"):
    """Wait until the condition holds, at most so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, told
        time.sleep(0.02)

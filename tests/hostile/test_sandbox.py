"""The driver notices what it is there for: a crash, a hang, a foreign error, files left behind, memory without end."""

import os
import signal
import time

import pytest

from tapemill.core.errors import InputError
from tapemill.storage import atomic
from tests.hostile.sandbox import GIBIBYTE, Limits, run_all

LIMITS = Limits(seconds=5, memory_bytes=4 * GIBIBYTE, file_bytes=1 << 20)


def refuse(folder):
    raise InputError("no", file=folder)


def leave(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / ".tape.partial.mkv").touch()


def fill(folder):
    with atomic.staged(folder / "a") as partial:
        partial.write_bytes(bytes(2 << 20))


@pytest.mark.parametrize(
    ("work", "error", "fault"),
    [
        (lambda folder: None, "", False),
        (refuse, "InputError", False),
        (lambda folder: {}["a"], "KeyError", True),
        (lambda folder: os.kill(os.getpid(), signal.SIGSEGV), "crash", True),
        (lambda folder: os._exit(3), "crash", True),
        (lambda folder: time.sleep(60), "hang", True),
        (lambda folder: bytearray(8 * GIBIBYTE), "MemoryError", True),
        (leave, "", True),
        (fill, "OSError", True),
    ],
)
def test_what_became_of_it(tmp_path, work, error, fault):
    ((name, outcome),) = run_all(iter([("a", tmp_path / "a", work)]), LIMITS, 2)
    assert name == "a"
    assert (outcome.error, outcome.is_fault) == (error, fault), outcome

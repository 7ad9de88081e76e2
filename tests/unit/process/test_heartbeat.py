import threading
import time

import pytest

from tapemill.process import heartbeat
from tests.support.polling import wait_for

RUN = "4711-42"


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(heartbeat, "_stopped", threading.Event())
    limits = {"BEAT_INTERVAL_S": 0.05, "POLL_INTERVAL_S": 0.02, "SILENCE_LIMIT_S": 1.0, "MISSING_LIMIT_S": 0.3}
    for name, seconds in limits.items():
        monkeypatch.setattr(heartbeat, name, seconds)


def watched():
    gone = threading.Event()
    threading.Thread(target=heartbeat.watch, args=(RUN, gone.set), daemon=True).start()
    return gone


def beat():
    return int((heartbeat.NOTES / RUN / "alive").read_text())


def test_a_run_that_gives_signs_is_there():
    heartbeat.start(RUN)
    gone = watched()
    wait_for(lambda: beat() > 30)
    assert not gone.is_set()
    heartbeat.stop(RUN)
    assert gone.wait(20)


def test_a_run_that_gives_no_sign_any_more_is_gone_though_its_file_is_there():
    heartbeat.start(RUN)
    heartbeat._stopped.set()
    assert watched().wait(20)
    assert beat() >= 0


def test_a_run_whose_notes_the_next_one_removed_is_gone():
    assert watched().wait(20)


def test_a_drive_that_stalls_for_a_moment_says_nothing(monkeypatch):
    heartbeat.start(RUN)
    path = heartbeat.NOTES / RUN / "alive"
    stalled = time.monotonic() + 0.6

    class Stalling(type(path)):
        def read_text(self, *arguments, **how):
            if time.monotonic() < stalled:
                raise OSError("stale file handle")
            return super().read_text(*arguments, **how)

    monkeypatch.setattr(heartbeat, "_path", lambda run: Stalling(path))
    gone = watched()
    wait_for(lambda: time.monotonic() > stalled + 0.3)
    assert not gone.is_set()

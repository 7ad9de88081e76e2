import os
import time

import pytest

from tapemill.core.errors import InputError
from tapemill.storage import mtimes

HOUR_S = 3600


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/T01").mkdir(parents=True)
    return tmp_path


def made(path, *, hours):
    path.touch()
    os.utime(path, (time.time() + hours * HOUR_S,) * 2)
    return path


def test_results_from_the_future_are_brought_to_the_present_and_nothing_else(folder):
    future = made(folder / "results/T01/capture.json", hours=5)
    past = made(folder / "results/T01/scenes.tsv", hours=-5)
    capture = made(folder / "a.mkv", hours=5)
    before = past.stat().st_mtime_ns, capture.stat().st_mtime_ns
    mtimes.clamp_future_mtimes(["results/T01/capture.json", "results/T01/scenes.tsv", "results/T01/not there", "a.mkv"])
    assert time.time() - HOUR_S < future.stat().st_mtime <= time.time()
    assert (past.stat().st_mtime_ns, capture.stat().st_mtime_ns) == before


def test_a_capture_from_the_future_is_refused_with_what_to_do(folder):
    mtimes.reject_future_mtimes(
        [made(folder / "a.mkv", hours=-1), made(folder / "b.mkv", hours=0), folder / "not there"]
    )
    with pytest.raises(InputError, match=r"by 5\.0 hours") as caught:
        mtimes.reject_future_mtimes([made(folder / "c.mkv", hours=5)])
    assert "touch" in caught.value.remedy

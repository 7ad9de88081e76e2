import json
import os
import subprocess
import sys
import threading

import pytest

from tapemill.core.errors import SetupError
from tapemill.lanes import lease
from tapemill.lanes.lane import Lane
from tapemill.lanes.lease import acquire_any
from tapemill.process.liveness import RunId, run_of
from tapemill.process.runtime_dirs import lease_folder, run_folder, runtime_folder
from tests.support.project import ROOT

HOLDER = """
import sys; from pathlib import Path
from tapemill.lanes import lease
held = lease.acquire(Path(sys.argv[1]), "xpu0", "run 4711", print)
held.update("enhance_scene T01 0000300", 60.0); print("held", flush=True); sys.stdin.read()
"""


def start_holder(folder):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_who_waits_says_for_whom_and_gets_the_lease_of_one_that_was_killed(tmp_path):
    with start_holder(tmp_path) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert not lease.is_free(tmp_path, "xpu0")
        assert lease.is_free(tmp_path, "xpu1")
        assert not lease.is_wanted(tmp_path, "xpu0")
        lines, got = [], threading.Event()
        told = threading.Event()

        def say(line):
            lines.append(line)
            told.set()

        def wait():
            lease.acquire(tmp_path, "xpu0", "run 4712", say).release()
            got.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        assert told.wait(5)
        assert f"run 4711 (process {holder.pid}) has it, enhance_scene T01 0000300 since" in lines[0]
        while not lease.is_wanted(tmp_path, "xpu0"):
            assert not got.is_set()
        holder.kill()
        waiter.join(5)
        assert got.is_set()
    assert lease.is_free(tmp_path, "xpu0")
    assert not lease.is_wanted(tmp_path, "xpu0")


def test_the_lease_says_who_has_it(tmp_path):
    with lease.leased(tmp_path, "cpu1", "run 1", print) as held:
        held.update("transcribe_scene T01 0000000", 30.0)
        assert lease.facts(tmp_path, "cpu1")["limit_s"] == 30.0
        # A shorter text leaves nothing of a longer one behind.
        held.update("idle")
        assert json.loads((tmp_path / "cpu1.lease").read_text())["doing"] == "idle"


def test_the_runtime_folder_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(SetupError, match="belong to you only"):
        runtime_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    with pytest.raises(SetupError):
        runtime_folder()


def test_folders_of_runs_that_are_gone_are_swept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    mine = run_of(os.getpid())
    dead = run_folder(RunId(mine.pid, mine.started_ticks - 1))
    (dead / "cpu0.sock").touch()
    assert run_folder(mine).is_dir()
    assert not dead.exists()


@pytest.fixture
def this_run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return run_of(os.getpid())


def test_jobs_of_a_run_without_lanes_get_different_seats(this_run):
    lane = Lane("cpu", None, warm=True, exclusive=False)
    with acquire_any(lane, this_run, []) as first, acquire_any(lane, this_run, []) as second:
        assert (first.name, second.name) == ("cpu0", "cpu1")
    with acquire_any(lane, this_run, []) as third:
        assert third.name == "cpu0"


def test_a_gpu_that_another_run_has_is_taken_last_and_a_full_house_is_waited_for(this_run):
    lane = Lane("xpu", None, warm=True)
    with start_holder(runtime_folder()) as holder:
        assert holder.stdout.readline() == b"held\n"
        with acquire_any(lane, this_run, [0, 1]) as first, acquire_any(lane, this_run, [0, 1]) as second:
            assert (first.number, second.number) == (1, 0)
            seats = []

            def wait():
                with acquire_any(lane, this_run, [0, 1]) as third:
                    seats.append(third.number)

            waiter = threading.Thread(target=wait)
            waiter.start()
            waiter.join(0.5)
            assert not seats
        waiter.join(5)
        assert seats
        holder.kill()


def test_jobs_of_slurm_lease_what_slurm_gave_them_though_numbers_are_the_same(tmp_path, monkeypatch):
    """Where Slurm confines a job to its GPUs, each job counts its own from 0."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert lease_folder() == runtime_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with lease.leased(lease_folder(), "xpu0", "one", print):
        assert not lease.is_free(lease_folder(), "xpu0")
        monkeypatch.setenv("SLURM_JOB_ID", "4712")
        assert lease.is_free(lease_folder(), "xpu0")
    old = runtime_folder() / "slurm4711"
    os.utime(old, (0, 0))
    monkeypatch.setenv("SLURM_JOB_ID", "4713")
    lease_folder()
    assert not old.exists()

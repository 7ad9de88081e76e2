"""From a job script to its lane, through real processes: a main process, a shell, a job, a worker."""

import os
import signal
import subprocess

import psutil
import pytest

from tapemill.core.errors import FatalError, OutOfMemory, SceneError, WorkerLost
from tapemill.events import attempts
from tapemill.events import log as events
from tapemill.lanes import lease
from tapemill.process import liveness
from tests.support.fakes import lane_functions
from tests.support.fakes.main_process import main_run
from tests.support.polling import wait_for


@pytest.fixture
def run(tmp_path):
    with main_run(tmp_path) as run:
        yield run


def test_warm_jobs_share_a_worker_and_have_logs_of_their_own(run):
    for scene in ("0000000", "0000050"):
        assert run.do(lane_functions.note, scene=scene, diary="diary") == 0
        assert "working for" in run.log(scene)
        assert "lane cpu0, worker" in run.log(scene)
    assert [entry["calls"] for entry in run.diary()] == [1, 2]


def test_cold_jobs_do_the_same_in_a_process_each(run):
    for _ in range(2):
        assert run.do(lane_functions.note, lanes={"warm": False, "nice": 3}, diary="diary") == 0
    first, second = run.diary()
    assert first["pid"] != second["pid"]
    assert first["nice"] == 3
    assert "lane cpu0, in this process" in run.log()
    assert lease.is_free(run.folder / "tapemill", "cpu0")


def test_the_scheduler_can_ask_for_cold_too(run):
    resources = {"gpu": 1, "gpu0": 1, "lane_device": "cpu", "lane_warm": 0}
    assert run.do(lane_functions.note, resources=resources, diary="diary") == 0
    assert "in this process" in run.log()


def test_a_job_without_gpu_runs_in_its_own_process_and_leases_nothing(run):
    assert run.do(lane_functions.note, resources={}, diary="diary") == 0
    assert not (run.folder / "tapemill").exists()


def test_without_lanes_a_processor_has_as_many_workers_as_jobs_at_once(run):
    assert run.do(lane_functions.note, resources={"gpu": 1}, diary="diary") == 0
    assert run.do(lane_functions.note, resources={"gpu": 1}, diary="diary") == 0
    assert [entry["calls"] for entry in run.diary()] == [1, 2]
    # Nobody shared the processor out, so other runs need not wait.
    assert not (run.folder / "tapemill" / "cpu0.lease").exists()


def test_exit_codes_tell_the_consequence(run):
    assert run.do(lane_functions.fail, kind="scene", scene="0000001") == SceneError.exit_code
    assert run.do(lane_functions.fail, kind="memory", scene="0000002") == OutOfMemory.exit_code
    assert run.do(lane_functions.fail, kind="exit", scene="0000003") == WorkerLost.exit_code
    assert run.do(lane_functions.fail, kind="ours", scene="0000004") == 1
    assert "a fault of ours" in run.log("0000004")
    assert "in the worker" in run.log("0000004")
    too_many = {"gpu": 1, "gpu0": 1, "gpu1": 1}
    assert run.do(lane_functions.note, resources=too_many, diary="diary", scene="0000005") == FatalError.exit_code


def test_a_corrupt_scene_is_not_tried_again_and_keeps_its_message(run):
    assert run.do(lane_functions.fail, kind="scene") == SceneError.exit_code
    assert run.do(lane_functions.note, diary="diary") == SceneError.exit_code
    assert "this scene is corrupt" in run.log()
    assert "not retried" in run.log()
    assert not (run.folder / "diary").exists()
    with main_run_again(run) as later:
        assert later.do(lane_functions.note, diary="diary") == 0


def main_run_again(run):
    run.process.kill()
    run.process.wait()
    return main_run(run.folder)


def test_after_a_lack_of_memory_the_next_attempt_begins_one_step_lower_in_a_fresh_worker(run):
    for warm in (True, False):
        assert run.do(lane_functions.fail, kind="memory", lanes={"warm": warm}) == OutOfMemory.exit_code
        assert run.do(lane_functions.note, diary="diary", lanes={"warm": warm}) == 0
    assert [entry["degrade_level"] for entry in run.diary()] == [1, 1]
    assert [entry["calls"] for entry in run.diary()] == [1, 1]
    assert run.do(lane_functions.note, diary="diary") == 0
    assert run.diary()[-1]["degrade_level"] == 0


@pytest.mark.parametrize("warm", [True, False])
def test_a_job_that_hangs_is_stopped_at_its_limit(run, warm):
    limits = {"limit_min_s": 1, "limit_factor": 1, "warm": warm}
    assert run.do(lane_functions.speak_then_wait, flag="never", lanes=limits) == WorkerLost.exit_code
    assert "did not end within 1 s" in run.log()
    assert lease.is_free(run.folder / "tapemill", "cpu0")


@pytest.mark.parametrize("warm", [True, False])
def test_nothing_outlives_a_killed_run(run, warm):
    run.start(lane_functions.start_child, flag=str(run.folder / "flag"), lanes={"warm": warm})
    wait_for(lambda: (run.folder / "flag").exists() and (run.folder / "flag").read_text())
    busy = int((run.folder / "flag").read_text())
    wait_for(lambda: lane_functions.ffmpeg_of(busy))
    ours = [run.process.pid, busy, *lane_functions.ffmpeg_of(busy)]
    jobs = subprocess.run(["pgrep", "-f", str(run.folder)], capture_output=True, text=True, check=False).stdout.split()
    ours += [int(pid) for pid in jobs if int(pid) != os.getpid()]
    os.kill(run.process.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(liveness.run_of, ours)), seconds=5)
    assert lease.is_free(run.folder / "tapemill", "cpu0")
    with main_run_again(run) as later:
        assert later.do(lane_functions.note, diary="diary", lanes={"warm": warm}) == 0


@pytest.mark.parametrize("warm", [True, False])
def test_a_job_that_is_stopped_leaves_nothing_half_made_and_the_lane_to_the_next(run, warm):
    half_made = run.folder / "clips"
    run.start(lane_functions.half_make, target=str(half_made / "clip"), lanes={"warm": warm})
    wait_for(lambda: half_made.is_dir() and list(half_made.iterdir()))
    jobs = [
        child for child in psutil.Process(run.process.pid).children(recursive=True) if "json" in str(child.cmdline())
    ]
    os.kill(jobs[-1].pid, signal.SIGINT)
    assert int(run.process.stdout.readline()) == 128 + signal.SIGINT
    assert "stopped by SIGINT" in run.log()
    wait_for(lambda: not list(half_made.iterdir()))
    assert run.do(lane_functions.note, diary="diary", lanes={"warm": warm}) == 0


@pytest.mark.parametrize("warm", [True, False])
def test_what_the_work_tells_becomes_events_wherever_it_is_done(tmp_path, monkeypatch, warm):
    monkeypatch.setenv(events.RUN_VARIABLE, "a-run")
    with main_run(tmp_path) as run:
        assert run.do(lane_functions.count, lanes={"warm": warm}, frames=3) == 0
        assert run.do(lane_functions.fail, lanes={"warm": warm}, kind="memory", scene="0000050") != 0
    found = events.read_events("a-run", tmp_path / "events")
    kinds = [event.kind for event in found if event.facts.get("scene") == "0000000"]
    assert kinds == ["job_started", *["job_told"] * 2, *["job_progress"] * 3, *["job_told"] * 2, "job_done"]
    assert sum(event.kind == "worker_started" for event in found) == warm
    counted, failed = attempts.fold_attempts(found)
    assert (counted.facts["waits_for"], counted.facts["lane"], counted.facts["is_warm"]) == ("cpu0", "cpu0", warm)
    assert (counted.facts["frames"], counted.facts["total_frames"], counted.facts["model"]) == (3, 3, ["abacus"])
    assert counted.facts["peak_memory_bytes"] > 1 << 20
    # A CPU is no GPU.
    assert "device" not in counted.facts
    # Also of an attempt that failed it is known where it was, and what it took.
    assert (failed.outcome, failed.facts["kind"], failed.facts["lane"]) == ("failed", "memory", "cpu0")
    assert failed.facts["peak_memory_bytes"] > 1 << 20

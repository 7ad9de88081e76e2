"""The resident worker of a lane and its clients, with real processes."""

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import psutil
import pytest

from tapemill.core.errors import OutOfMemory, SceneError, WorkerLost
from tapemill.devices.device import Device
from tapemill.lanes import client, lease
from tapemill.lanes.lane import Lane
from tapemill.lanes.protocol import LaneTask, WorkerConfig, name_of, short_address, socket_path
from tapemill.process import liveness
from tapemill.process.runtime_dirs import runtime_folder
from tests.support.fakes import lane_functions
from tests.support.polling import wait_for
from tests.support.project import ROOT

LANE = Lane("cpu", 0, warm=True)


@pytest.fixture
def orders(tmp_path, monkeypatch):
    """Orders of a worker that belongs to a "run" of its own: a process that only waits."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    before = psutil.Process().children()
    main = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield WorkerConfig(lane=LANE, run=liveness.run_of(main.pid), idle_s=60, memory_share=0.5, nice=0, start_limit_s=60)
    main.kill()
    main.wait()
    main.stdin.close()
    # The worker ends with its run. Ended children stay zombies until somebody asks for them, and other tests count.
    # Not all children: the tracker of multiprocessing, if another test started one, stays as long as this process.
    for child in psutil.Process().children():
        if child not in before:
            child.wait()


def task(function, limit_s=60.0, **arguments):
    return LaneTask(name_of(function), arguments, Device("cpu"), label=function.__name__, ffmpeg=None, limit_s=limit_s)


def gone(pid):
    return liveness.run_of(pid) is None


def test_the_second_job_finds_the_worker_of_the_first(orders, tmp_path):
    first = client.submit(task(lane_functions.note, diary="diary"), orders)
    second = client.submit(task(lane_functions.note, diary="diary"), orders)
    assert first["pid"] == second["pid"] != os.getpid()
    assert (first["calls"], second["calls"]) == (1, 2)
    assert socket_path(orders.run, LANE).stat().st_mode & 0o777 == 0o600


def test_results_are_more_than_plain_values(orders):
    assert client.submit(task(lane_functions.array, size=5), orders).tolist() == [0, 1, 2, 3, 4]


def test_clients_take_turns_one_at_a_time_and_none_is_lost(orders):
    def work():
        client.submit(task(lane_functions.note, diary="diary", seconds=0.05), orders)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = Path("diary").read_text().splitlines()
    entries = sorted((json.loads(line) for line in lines), key=lambda entry: entry["start"])
    assert len(entries) == 8
    assert len({entry["pid"] for entry in entries}) == 1
    for before, after in pairwise(entries):
        assert before["stop"] <= after["start"]


def test_log_lines_arrive_while_the_job_still_runs(orders, tmp_path, caplog):
    flag = tmp_path / "flag"
    with caplog.at_level(logging.INFO):
        thread = threading.Thread(
            target=client.submit, args=(task(lane_functions.speak_then_wait, flag=str(flag)), orders)
        )
        thread.start()
        wait_for(lambda: "the first line" in caplog.text)
        assert "the last line" not in caplog.text
        flag.touch()
        thread.join()
    record = next(record for record in caplog.records if record.message == "the last line")
    assert record.name == "tapemill.standins"


def test_an_error_arrives_as_what_it_is_with_the_traceback_of_the_worker(orders):
    with pytest.raises(SceneError, match="this scene is corrupt") as caught:
        client.submit(task(lane_functions.fail, kind="scene"), orders)
    assert caught.value.file == Path("a.mkv")
    assert caught.value.remedy == "look at it"
    assert "in fail" in str(caught.value.__cause__)
    with pytest.raises(ZeroDivisionError) as caught:
        client.submit(task(lane_functions.fail, kind="ours"), orders)
    assert "a fault of ours" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match="Strange: nobody can pickle me"):
        client.submit(task(lane_functions.fail, kind="strange"), orders)


def test_a_worker_survives_the_failure_of_a_scene_but_not_one_of_memory(orders):
    first = client.submit(task(lane_functions.note, diary="diary"), orders)
    with pytest.raises(SceneError):
        client.submit(task(lane_functions.fail, kind="scene"), orders)
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["pid"] == first["pid"]
    with pytest.raises(OutOfMemory):
        client.submit(task(lane_functions.fail, kind="memory"), orders)
    wait_for(lambda: gone(first["pid"]))
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["pid"] != first["pid"]


def test_a_worker_that_dies_is_a_transient_error_and_the_next_job_gets_another(orders):
    with pytest.raises(WorkerLost, match="died during fail"):
        client.submit(task(lane_functions.fail, kind="exit"), orders)
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["calls"] == 1


def test_a_worker_that_hangs_is_stopped_after_the_time_limit(orders, tmp_path):
    hanging = task(lane_functions.speak_then_wait, flag=str(tmp_path / "never"), limit_s=0.5)
    with pytest.raises(WorkerLost, match="did not end within 0 s") as caught:
        client.submit(hanging, orders)
    pid = int(str(caught.value).split("process ")[1].split(")")[0])
    wait_for(lambda: gone(pid))
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["calls"] == 1


def test_a_client_that_waits_is_not_hurt_by_the_death_of_the_worker(orders, tmp_path):
    failures = []

    def hang():
        try:
            client.submit(task(lane_functions.speak_then_wait, flag=str(tmp_path / "never"), limit_s=1.0), orders)
        except WorkerLost as error:
            failures.append(error)

    first = threading.Thread(target=hang)
    first.start()
    wait_for(lambda: "speak_then_wait" in str(lease.facts(runtime_folder(), "cpu0")))
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["calls"] == 1
    first.join()
    assert len(failures) == 1


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_worker_that_does_not_answer_is_replaced(orders, monkeypatch, exclusive):
    orders = replace(orders, lane=replace(LANE, exclusive=exclusive))
    pid = client.submit(task(lane_functions.note, diary="diary"), orders)["pid"]
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(client, "GREETING_S", 0.1)
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["pid"] != pid
    wait_for(lambda: gone(pid))


def test_the_worker_stops_with_its_client_and_so_does_ffmpeg(orders, tmp_path):
    flag = tmp_path / "flag"
    code = (
        "import sys, pickle; from tapemill.lanes import client;client.submit(*pickle.loads(bytes.fromhex(sys.argv[1])))"
    )
    text = pickle.dumps((task(lane_functions.start_child, flag=str(flag)), orders)).hex()
    path = os.pathsep.join([str(ROOT / "scripts"), os.environ["PYTHONPATH"]])
    holder = subprocess.Popen([sys.executable, "-c", code, text], env={**os.environ, "PYTHONPATH": path})
    wait_for(lambda: flag.exists() and flag.read_text())
    worker = int(flag.read_text())
    wait_for(lambda: lane_functions.ffmpeg_of(worker))
    ffmpeg = lane_functions.ffmpeg_of(worker)[0]
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    wait_for(lambda: gone(worker) and gone(ffmpeg), seconds=5)


def test_the_worker_ends_with_the_run_and_its_lease_is_free(orders):
    pid = client.submit(task(lane_functions.note, diary="diary"), orders)["pid"]
    assert not lease.is_free(runtime_folder(), "cpu0")
    os.kill(orders.run.pid, signal.SIGKILL)
    wait_for(lambda: gone(pid), seconds=5)
    # A process that it was just starting has the lock until it is another program.
    wait_for(lambda: lease.is_free(runtime_folder(), "cpu0"), seconds=5)


def test_an_idle_worker_leaves_after_its_time(orders):
    pid = client.submit(task(lane_functions.note, diary="diary"), replace(orders, idle_s=0.1))["pid"]
    wait_for(lambda: gone(pid))


def test_an_idle_worker_makes_room_for_another_run(orders, caplog):
    pid = client.submit(task(lane_functions.note, diary="diary"), orders)["pid"]
    lines = []
    with lease.leased(runtime_folder(), "cpu0", "another run", lines.append):
        # The kernel takes locks back a moment before the process counts as ended.
        wait_for(lambda: gone(pid))
    assert f"run {orders.run.pid} (process {pid}) has it, idle since" in lines[0]
    assert lines[1].startswith("got cpu0 after")


def test_a_worker_waits_for_its_lease_and_its_client_says_so(orders, caplog):
    base = runtime_folder()
    with caplog.at_level(logging.INFO):
        with lease.leased(base, "cpu0", "another run", print) as held:
            held.update("enhance_scene T01 0000000")
            thread = threading.Thread(target=client.submit, args=(task(lane_functions.note, diary="diary"), orders))
            thread.start()
            wait_for(lambda: "waiting for cpu0: another run" in caplog.text)
            assert "enhance_scene T01 0000000" in caplog.text
            assert not Path("diary").exists()
        thread.join()
    assert Path("diary").exists()


def test_the_wait_for_a_lease_has_no_limit(orders):
    with lease.leased(runtime_folder(), "cpu0", "another run", print):
        arguments = (task(lane_functions.note, diary="diary"), replace(orders, start_limit_s=1))
        thread = threading.Thread(target=client.submit, args=arguments)
        thread.start()
        thread.join(timeout=3)
        assert thread.is_alive()
    thread.join()
    assert Path("diary").exists()


def test_a_worker_that_hangs_at_its_start_is_stopped(orders, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        """
import os, pathlib, sys, time
mark = pathlib.Path("mark")
if "tapemill.lanes.worker" in sys.orig_argv and not mark.exists():
    mark.write_text(str(os.getpid()))
    os.nice = lambda step: time.sleep(3600)
"""
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    hasty = replace(orders, start_limit_s=2)
    with pytest.raises(WorkerLost, match="did not open its GPU within 2 s"):
        client.submit(task(lane_functions.note, diary="diary"), hasty)
    wait_for(lambda: gone(int(Path("mark").read_text())))
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["calls"] == 1


def test_nobody_without_the_key_is_let_in(orders):
    client.submit(task(lane_functions.note, diary="diary"), orders)
    with pytest.raises(AuthenticationError), short_address(socket_path(orders.run, LANE)) as address:
        Client(address, "AF_UNIX", authkey=b"guessed")
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["calls"] == 2


def test_nice_and_the_way_down_reach_the_function(orders):
    polite = replace(orders, nice=7)
    lowered = replace(task(lane_functions.note, diary="diary"), device=Device("cpu", degrade_level=2))
    entry = client.submit(lowered, polite)
    assert entry["nice"] == 7
    assert entry["degrade_level"] == 2


def test_a_long_runtime_folder_is_no_obstacle(orders, tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100) / "e"
    deep.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert client.submit(task(lane_functions.note, diary="diary"), orders)["calls"] == 1

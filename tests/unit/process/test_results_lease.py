"""Leases on results folders: one writer, also through links, also where another machine's locks are not seen."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tapemill.core.errors import FatalError
from tapemill.process import liveness, results_lease
from tests.support.polling import wait_for
from tests.support.project import ROOT

HOLDER = """
import sys
from tapemill.process import results_lease
results_lease.BEAT_INTERVAL_S = globals().get("BEAT", 0.05)
def lost(message): print(message, flush=True)
results_lease.acquire(sys.argv[1:], results_lease.change_marker(), lost)
print("held", flush=True)
sys.stdin.read()
"""
# The locks of another machine are not seen where the file system keeps them to itself.
WITHOUT_KERNEL_LOCKS = "import fcntl; fcntl.flock = lambda *_: None\n"
OTHER_BOOT = "from pathlib import Path; from tapemill.process import liveness; liveness.BOOT_ID = Path('boot')\n"
REMOTE = "from tapemill.process import results_lease; results_lease._is_remote = lambda folder: True\n"
QUICK = """
from tapemill.process import results_lease
results_lease.SETTLE_S, results_lease.SILENCE_S, results_lease.POLL_S, results_lease.ORPHANS_S = 0.2, 2.0, 0.05, 0
"""
ELSEWHERE = OTHER_BOOT + WITHOUT_KERNEL_LOCKS + REMOTE + QUICK


@pytest.fixture
def start():
    """Start a process that holds leases in a working folder; all end with the test."""
    running = []

    def start(folder, *tapes, setup=""):
        folder.mkdir(exist_ok=True)
        (folder / "boot").write_text("another boot\n")
        process = subprocess.Popen(
            [sys.executable, "-c", setup + HOLDER, *tapes],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        try:
            process.communicate("", timeout=120)
        finally:
            process.kill()


def is_held(process):
    return process.stdout.readline() == "held\n"


def refusal(process):
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0
    return error


@pytest.fixture
def folders(tmp_path):
    """Two working folders; `link` makes a path in the second one lead to the same path in the first one."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()

    def link(name):
        (first / name).mkdir(parents=True)
        (second / name).parent.mkdir(parents=True, exist_ok=True)
        (second / name).symlink_to(first / name)

    return first, second, link


@pytest.mark.parametrize("linked", ["results", "results/T", "results/T/enhanced"])
def test_a_second_working_folder_is_refused_and_named(folders, start, linked):
    first, second, link = folders
    link(linked)
    one = start(first, "T")
    assert is_held(one)
    error = refusal(start(second, "T"))
    assert f"another run writes to this folder: run {one.pid}-" in error
    assert str(first) in error
    one.communicate("")
    assert one.returncode == 0
    assert is_held(start(second, "T"))


def test_other_tapes_in_other_folders_do_not_matter(folders, start):
    first, second, link = folders
    link("results/T")
    assert is_held(start(first, "S"))
    assert is_held(start(second, "T"))


@pytest.mark.parametrize("linked", ["results", "results/T", "results/T/enhanced"])
def test_a_killed_run_leaves_nothing_to_unlock(folders, start, linked):
    first, second, link = folders
    link(linked)
    one = start(first, "T")
    assert is_held(one)
    one.kill()
    one.wait()
    assert not results_lease.holder(first / "results").is_released
    assert is_held(start(second, "T", setup=QUICK))


def test_the_next_run_of_the_same_folder_need_not_wait_for_a_killed_one(tmp_path, start):
    one = start(tmp_path / "first", "T")
    assert is_held(one)
    one.kill()
    one.wait()
    forever = "from tapemill.process import results_lease; results_lease.ORPHANS_S = 3600\n"
    assert is_held(start(tmp_path / "first", "T", setup=forever))


def test_a_stage_on_another_disk_has_a_lease_of_its_own(folders, start):
    first, second, _ = folders
    (first / "large").mkdir()
    for folder in (first, second):
        (folder / "results/T").mkdir(parents=True)
        (folder / "results/T/enhanced").symlink_to(first / "large")
    assert is_held(start(first, "T"))
    assert "another run writes to this folder" in refusal(start(second, "T"))


@pytest.mark.parametrize("linked", ["results", "results/T"])
def test_a_run_on_another_machine_is_seen_by_its_count(folders, start, linked):
    first, second, link = folders
    link(linked)
    one = start(first, "T", setup=WITHOUT_KERNEL_LOCKS + REMOTE + QUICK)
    assert is_held(one)
    assert "another run writes to this folder" in refusal(start(second, "T", setup=ELSEWHERE))
    one.kill()
    one.wait()
    # It stands still: nobody is there any more.
    two = start(second, "T", setup=ELSEWHERE)
    assert is_held(two)
    assert results_lease.holder(first / linked).run.startswith(f"{two.pid}-")


def test_a_run_on_another_machine_that_ends_is_waited_for_no_longer(folders, start):
    first, second, link = folders
    link("results")
    seldom = WITHOUT_KERNEL_LOCKS + REMOTE + QUICK
    one = start(first, setup=seldom + "BEAT = 3600\n")
    assert is_held(one)
    two = start(second, setup=ELSEWHERE + "results_lease.SILENCE_S = 3600\n")
    assert "waiting for up to 3600 s for a sign of the last writer" in two.stderr.readline()
    one.communicate("")
    assert is_held(two)


def test_of_two_machines_that_begin_at_once_one_goes_on(folders, start):
    first, second, link = folders
    link("results")
    slow = "results_lease.SETTLE_S = 3.0\n"
    both = [start(first, setup=WITHOUT_KERNEL_LOCKS + REMOTE + QUICK + slow), start(second, setup=ELSEWHERE + slow)]
    assert sorted(process.stdout.readline() for process in both) == ["", "held\n"]


def test_a_run_whose_folder_was_taken_over_is_told_so(folders, start):
    first, second, link = folders
    link("results")
    stalled = "results_lease.BEAT_INTERVAL_S = 4.0\n"
    one = start(first, setup=WITHOUT_KERNEL_LOCKS + REMOTE + QUICK)
    assert is_held(one)
    taker = start(second, setup=ELSEWHERE + stalled + "results_lease._require_silence = lambda *_: None\n")
    assert is_held(taker)
    assert "was taken over" in one.stdout.readline()
    one.communicate("")
    # It has nothing to release any more.
    found = results_lease.holder(first / "results")
    assert found.run.startswith(f"{taker.pid}-") and not found.is_released


def test_a_local_disk_after_a_power_cut_is_free_at_once(folders, start):
    first, _, _ = folders
    one = start(first, "T")
    assert is_held(one)
    one.kill()
    one.wait()
    assert is_held(start(first, "T", setup=OTHER_BOOT + "results_lease = None\n"))


def test_a_plan_from_before_another_runs_end_is_refused(tmp_path, start, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / "results").mkdir()
    (second / "results").symlink_to(first / "results")
    monkeypatch.chdir(second)
    planned_on = results_lease.change_marker()
    one = start(first)
    assert is_held(one)
    one.communicate("")
    with pytest.raises(FatalError, match="was just ending"):
        results_lease.acquire([], planned_on, lambda message: None)
    results_lease.acquire([], results_lease.change_marker(), lambda message: None)
    results_lease.release()
    assert results_lease.holder(tmp_path / "first" / "results").is_released


def test_the_limit_of_open_files_is_no_limit_of_tapes(tmp_path, start):
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    tapes = [f"T{number}" for number in range(600)]
    setup = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))\n"
    assert is_held(start(tmp_path / "archive", *tapes, setup=setup))


def test_a_damaged_lease_counts_as_released(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for content in (b"", b"{", b"[]", b'{"run": 1}', bytes(100)):
        (tmp_path / "results" / results_lease.LEASE).write_bytes(content)
        results_lease.acquire([], results_lease.change_marker(), lambda message: None)
        results_lease.release()


def test_a_folder_that_a_full_disk_has_no_room_for_needs_no_lease(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    mkdir = os.mkdir

    def refuse(path, *more):
        if Path(path).name == "T":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        mkdir(path, *more)

    monkeypatch.setattr(os, "mkdir", refuse)
    results_lease.acquire(["S", "T"], None, lambda message: None)
    assert results_lease.holder(tmp_path / "results/S").run == liveness.own_run().id
    assert not (tmp_path / "results/T").exists()
    results_lease.release()
    assert results_lease.holder(tmp_path / "results/S").is_released


def test_the_lease_is_held_by_a_lock_of_the_kernel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results_lease.acquire(["T"], None, lambda message: None)
    for folder in ("results", "results/T"):
        with (tmp_path / folder / results_lease.LEASE).open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert results_lease.holder(tmp_path / "results").run == liveness.own_run().id
    results_lease.release()


def test_a_beat_never_undoes_a_release(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results_lease, "BEAT_INTERVAL_S", 0.01)
    write, releases = results_lease._write, []

    def write_late(path, content):
        if content.beat and not content.is_released and not releases:
            releases.append(threading.Thread(target=results_lease.release))
            releases[0].start()
            releases[0].join(0.5)
        write(path, content)

    monkeypatch.setattr(results_lease, "_write", write_late)
    results_lease.acquire([], results_lease.change_marker(), lambda message: None)
    wait_for(lambda: releases)
    releases[0].join()
    # The beat that was being written when the release came has ended by now, or comes next.
    wait_for(lambda: results_lease._writing.acquire(blocking=False))
    results_lease._writing.release()
    assert results_lease.holder(tmp_path / "results").is_released

import itertools
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapemill.core.errors import FatalError, InputError
from tapemill.core.recipes import RECIPES
from tapemill.jobs import attempt_store, entrypoint, retry
from tapemill.jobs.attempt_store import AttemptFailure, RetryRecord
from tapemill.process import abort, liveness
from tapemill.storage import checksums
from tests.support.polling import wait_for
from tests.support.project import ROOT
from tests.support.small_disk import small_disk

pytestmark = pytest.mark.usefixtures("handlers")


def job(tmp_path):
    return SimpleNamespace(rule="probe_capture", log=[str(tmp_path / "logs" / "a.log")], config={"ffmpeg": None})


def test_an_error_on_purpose_ends_with_its_exit_code_and_its_message_alone(tmp_path, capsys):
    def main(_):
        raise InputError("this file has no video", file="a\udce4.wav", remedy="check the sheet")

    with pytest.raises(SystemExit) as caught:
        entrypoint.run_job(main, job(tmp_path))
    assert caught.value.code == 78
    text = (tmp_path / "logs" / "a.log").read_text()
    assert "InputError: this file has no video" in text
    assert "check the sheet" in text
    assert "Traceback" not in text
    assert "InputError" not in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError):
        entrypoint.run_job(lambda _: 1 / 0, job(tmp_path))
    assert "Traceback" in (tmp_path / "logs" / "a.log").read_text()


def test_a_log_that_cannot_be_written_ends_the_job_before_its_work(tmp_path, capsys):
    with small_disk(tmp_path / "disk", "1m") as disk:
        disk.lock()
        with pytest.raises(SystemExit) as caught:
            entrypoint.run_job(lambda _: pytest.fail("the job began"), job(disk.path))
    assert caught.value.code == 78
    told = capsys.readouterr().err
    assert "NotWritable" in told
    assert "what to do" in told
    assert "Traceback" not in told


def test_a_log_on_a_full_disk_loses_lines_without_a_traceback_for_each(tmp_path, capsys):
    def main(_):
        disk.fill()
        for _ in range(2000):
            logging.getLogger("tapemill").info("a line that finds no room")
        raise InputError("the reason")

    with small_disk(tmp_path / "disk", "1m") as disk, pytest.raises(SystemExit) as caught:
        entrypoint.run_job(main, job(disk.path))
    assert caught.value.code == 78
    assert "Traceback" not in capsys.readouterr().err


def test_a_job_without_room_does_not_begin(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        of_disk = job(tmp_path)
        of_disk.config |= {"disk": {"reserve_gb": 0}}
        of_disk.output, of_disk.resources = [str(disk.path / "a.mkv")], {"disk_mb": 2}
        with pytest.raises(SystemExit) as caught:
            entrypoint.run_job(lambda _: pytest.fail("the job began"), of_disk)
    assert caught.value.code == 78
    assert "DiskFull: this job needs up to 2.0 MB" in (tmp_path / "logs" / "a.log").read_text()


def of_tape(tmp_path, rule="probe_capture", **params):
    found = job(tmp_path)
    found.rule, found.wildcards, found.params = rule, SimpleNamespace(tape="T01"), SimpleNamespace(**params)
    return found


@pytest.mark.parametrize(("rule", "is_marked"), [("probe_capture", True), ("write_provenance", False)])
def test_a_job_that_changes_a_tape_marks_it_before_its_work(tmp_path, monkeypatch, rule, is_marked):
    monkeypatch.chdir(tmp_path)
    seen = []
    entrypoint.run_job(lambda _: seen.append(checksums.is_changed("T01")), of_tape(tmp_path, rule))
    assert seen == [is_marked]


def test_a_job_by_another_recipe_than_that_of_its_tape_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        entrypoint.run_job(lambda _: pytest.fail("the job began"), of_tape(tmp_path, recipe=99))
    assert caught.value.code == 78
    assert "InputError: tape T01 was made by another recipe" in (tmp_path / "logs" / "a.log").read_text()
    assert not checksums.is_changed("T01")
    entrypoint.run_job(lambda _: None, of_tape(tmp_path, recipe=RECIPES["capture"]))
    assert checksums.is_changed("T01")


def test_warnings_reach_the_terminal_and_the_log(tmp_path, capsys):
    entrypoint.run_job(lambda _: logging.getLogger("tapemill.capture").warning("variable rate"), job(tmp_path))
    assert "variable rate" in capsys.readouterr().err
    assert "variable rate" in (tmp_path / "logs" / "a.log").read_text()


# A job of a run that fails as told.
JOB = """
import os, sys, tapemill.core.errors
from types import SimpleNamespace
from tapemill.jobs import entrypoint as script

def main(job):
    if sys.argv[1] != "nothing":
        raise getattr(tapemill.core.errors, sys.argv[1])("told so", remedy="nothing")

if sys.argv[1] == "death":
    os._exit(1)
job = SimpleNamespace(rule="cut_scene", log=["logs/cut_scene/T01/0000000.log"], config={"ffmpeg": None})
script.run_job(main, job)
"""
MAIN = f"""
import subprocess, sys; from pathlib import Path; from types import SimpleNamespace
from tapemill.jobs import retry
from tapemill.process import run_lock as runlock
runlock.acquire(Path(".snakemake"))
scheduler = SimpleNamespace(exit_gracefully=lambda: print("stop", flush=True), error_callback=lambda job: None)
retry.install_retry_policy(scheduler)
job = SimpleNamespace(log=["logs/cut_scene/T01/0000000.log"], is_group=lambda: False, restart_times=3)
print("held", flush=True)
for line in sys.stdin:
    code = subprocess.run([sys.executable, "-c", {JOB!r}, line.strip()]).returncode
    if code:
        scheduler.error_callback(job)
    print(code, flush=True)
"""


@pytest.fixture
def run(tmp_path):
    """A main process; each line names what its next job fails of."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", MAIN], cwd=tmp_path, env=environment, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()
        try:
            process.wait(120)
        finally:
            process.kill()


def job_fails_of(run, error):
    run.stdin.write(f"{error}\n")
    run.stdin.flush()
    return run.stdout.readline().strip()


def log_of(folder, name="0000000.log"):
    return (folder / "logs" / "cut_scene" / "T01" / name).read_text()


def test_a_corrupt_file_is_not_tried_again_even_if_snakemake_would(run, tmp_path):
    started = time.monotonic()
    assert [job_fails_of(run, "GateError") for _ in range(4)] == ["65"] * 4
    assert "not retried" in log_of(tmp_path)
    assert "attempt 1 failed: GateError: told so\n  what to do: nothing" in log_of(tmp_path)
    assert not list(tmp_path.rglob("*.attempt*.log"))
    assert "waiting" not in log_of(tmp_path)
    assert time.monotonic() - started < 60


def test_a_hiccup_is_tried_again_after_a_pause_and_a_lack_of_memory_at_once(run, tmp_path):
    job_fails_of(run, "ToolKilled")
    assert job_fails_of(run, "OutOfMemory") == "75"
    assert "attempt 1 failed: ToolKilled: told so" in log_of(tmp_path)
    assert "ERROR tapemill: ToolKilled: told so" in log_of(tmp_path, "0000000.attempt1.log")
    assert "before attempt 2" in log_of(tmp_path)
    assert job_fails_of(run, "nothing") == "0"
    assert "attempt 2 failed: OutOfMemory" in log_of(tmp_path)
    assert "waiting" not in log_of(tmp_path)


def test_a_job_that_died_before_its_work_leaves_no_note_and_is_tried_again(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert job_fails_of(run, "death") == "1"
    assert not list((attempt_store.RECORDS / liveness.run_of(run.pid).id).rglob("*.json"))
    assert job_fails_of(run, "nothing") == "0"
    assert "attempt" not in log_of(tmp_path)


def test_the_pause_ends_with_the_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_id, log = liveness.run_of(run.pid).id, Path("logs/cut_scene/T01/0000000.log")
    note = RetryRecord(str(log), failures=3 * (AttemptFailure("transient", "ToolKilled", "told so", 75),))
    attempt_store.record_backoff(run_id, note, time.time() + 60)
    run.stdin.write("nothing\n")
    run.stdin.flush()
    wait_for(lambda: log.exists() and "before attempt 4" in log.read_text(), message="no pause began")
    (job,) = children(run.pid)
    run.send_signal(signal.SIGKILL)
    wait_for(lambda: liveness.run_of(job) is None, seconds=5, message="the job waits on for nobody")


def test_a_pause_that_another_machine_told_is_no_longer_than_the_longest_whatever_its_clock_says(monkeypatch):
    slept = []
    clock = itertools.count(0, 5)
    monkeypatch.setattr(retry.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(retry.time, "sleep", slept.append)
    in_a_year = time.time() + 365 * 24 * 3600
    retry.wait_backoff(
        None, RetryRecord("log", failures=(AttemptFailure("transient", "", "", 75),), rests_until_s=in_a_year)
    )
    assert 0 < len(slept) <= retry.BACKOFF_S[-1] * (1 + retry.BACKOFF_SPREAD) / 5


def test_a_job_whose_run_is_gone_leaves_the_log_to_the_next_run(tmp_path):
    log = tmp_path / "logs/cut_scene/T01/0000000.log"
    log.parent.mkdir(parents=True)
    log.write_text("of the next run")
    gone = f"{liveness.BOOT_ID.read_text().strip()} {os.getpid()}-1"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), liveness.RUN_VARIABLE: gone}
    job = subprocess.run([sys.executable, "-c", JOB, "nothing"], cwd=tmp_path, env=environment, check=False)
    assert job.returncode == 75
    assert log.read_text() == "of the next run"
    assert not (tmp_path / attempt_store.RECORDS).exists()


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_fatal_error_stops_the_run_and_jobs_that_start_all_the_same_leave(run, tmp_path):
    # Both the job's exit code and the word of the watching thread come on the same pipe.
    assert {job_fails_of(run, "ConfigError"), run.stdout.readline().strip()} == {"78", "stop"}
    (tmp_path / ".snakemake/attempts").joinpath(liveness.run_of(run.pid).id, "jobs").rename(tmp_path / "other")
    assert job_fails_of(run, "nothing") == str(FatalError.exit_code)
    assert "not started: ConfigError: told so" in log_of(tmp_path)


def test_an_unusable_capture_stops_no_run(run, tmp_path):
    assert job_fails_of(run, "InputError") == "78"
    time.sleep(4 * abort.POLL_INTERVAL_S)
    assert abort.abort_reason(liveness.run_of(run.pid).id) is None

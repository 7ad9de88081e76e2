"""Signals to the main process and to job scripts, in processes of their own."""

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tapemill.jobs import attempt_store
from tapemill.process import liveness, signals
from tests.support.polling import wait_for
from tests.support.project import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}

JOB = """
import sys, time; from pathlib import Path; from types import SimpleNamespace
from tapemill.storage import atomic as files
from tapemill.jobs import entrypoint as script

def main(job):
    with files.staged(Path("clip.mkv")) as partial:
        partial.write_text("half")
        Path("working").touch()
        try:
            time.sleep(60)
        finally:
            Path("cleaning").touch()
            while not Path("go").exists():
                time.sleep(0.02)

script.run_job(main, SimpleNamespace(rule="cut_scene", log=["logs/job.log"], config={}))
"""

# Snakemake's own handler of SIGTERM, with all it touches, while the main thread holds the lock that it needs.
MAIN = """
import os, signal, sys, threading, time; from types import SimpleNamespace
from snakemake.scheduling.job_scheduler import JobScheduler
from tapemill.process import signals as stopping

scheduler = SimpleNamespace(_lock=threading.Lock(), _open_jobs=threading.Semaphore(0), _user_kill=None)
signal.signal(signal.SIGTERM, lambda *arguments: JobScheduler.exit_gracefully(scheduler, *arguments))
stopping.install_handlers()
with scheduler._lock:
    print("locked", flush=True)
    time.sleep(1)
scheduler._open_jobs.acquire()
print(scheduler._user_kill, flush=True)
print(stopping.stop_signal(), flush=True)
sys.stdin.read()
"""


def start(code, folder, **how):
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=ENVIRONMENT, **how)


def start_main(folder, code=MAIN, stderr=subprocess.PIPE):
    pipe = subprocess.PIPE
    return start(code, folder, stdin=pipe, stdout=pipe, stderr=stderr, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_job_cleans_up_undisturbed_and_says_what_stopped_it(tmp_path, number):
    job = start(JOB, tmp_path)
    wait_for((tmp_path / "working").exists)
    job.send_signal(number)
    wait_for((tmp_path / "cleaning").exists)
    # Again, in the middle of it.
    job.send_signal(signal.SIGINT)
    job.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert job.wait(20) == 128 + number
    assert not list(tmp_path.glob("*clip*"))
    log = (tmp_path / "logs" / "job.log").read_text()
    assert number.name in log
    assert "Traceback" not in log


def test_a_job_that_cannot_hear_yet_that_its_run_is_asked_to_stop_hears_later(tmp_path):
    run = liveness.run_of(os.getpid())
    (tmp_path / "job.py").write_text(f"import time; time.sleep(1)\n{JOB}")
    # It hears at the start of its work or a moment later.
    (tmp_path / "go").touch()
    environment = ENVIRONMENT | {liveness.RUN_VARIABLE: f"{liveness.BOOT_ID.read_text().strip()} {run.id}"}
    # The last command keeps bash from becoming the job.
    command = ["bash", "-c", f"{signals.PREFIX}{sys.executable} job.py || exit $?"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as job:
        wait_for(lambda: children(job.pid))
        os.killpg(job.pid, signal.SIGINT)
        note = tmp_path / attempt_store.RECORDS / run.id / "asked to stop"
        note.parent.mkdir(parents=True)
        note.touch()
        assert job.wait(20) == 128 + signal.SIGTERM
        assert "Traceback" not in job.stderr.read()
    assert not list(tmp_path.glob("*clip*"))


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_first_ctrl_c_asks_the_jobs_to_stop_and_sigterm_does_not(tmp_path):
    for number, asked in ((signal.SIGTERM, False), (signal.SIGINT, True)):
        with start_main(tmp_path) as main:
            assert main.stdout.readline() == "locked\n"
            main.send_signal(number)
            assert main.stdout.readline() == "graceful\n"
            assert main.stdout.readline() == f"{number.name}\n"
            main.communicate("")
        assert bool(list((tmp_path / attempt_store.RECORDS).glob("*/asked to stop"))) is asked


def test_what_was_ignored_from_the_start_stays_ignored(tmp_path):
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    job = start(ignore + JOB.replace("time.sleep(60)", "time.sleep(0.5)"), tmp_path)
    wait_for((tmp_path / "working").exists)
    job.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    assert job.wait(20) == 0
    assert (tmp_path / "clip.mkv").read_text() == "half"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_in_the_middle_of_its_bookkeeping_can_be_stopped(tmp_path, number):
    with start_main(tmp_path) as main:
        assert main.stdout.readline() == "locked\n"
        main.send_signal(number)
        too_late = threading.Timer(20, main.kill)
        too_late.start()
        assert main.stdout.readline() == "graceful\n", "it hangs"
        too_late.cancel()
        main.communicate("")


def test_a_second_ctrl_c_ends_everything_at_once(tmp_path):
    with start_main(tmp_path) as main:
        assert main.stdout.readline() == "locked\n"
        main.send_signal(signal.SIGINT)
        assert main.stdout.readline() == "graceful\n"
        assert main.poll() is None
        main.send_signal(signal.SIGINT)
        assert main.wait(20) == 128 + signal.SIGINT
        assert "running jobs clean up" in main.stderr.read()


def test_the_cursor_that_a_progress_bar_hid_is_shown_again(tmp_path):
    ours, theirs = pty.openpty()
    with start_main(tmp_path, stderr=theirs) as main:
        os.close(theirs)
        assert main.stdout.readline() == "locked\n"
        main.send_signal(signal.SIGINT)
        assert main.stdout.readline() == "graceful\n"
        main.send_signal(signal.SIGINT)
        assert main.wait(20) == 128 + signal.SIGINT
    assert os.read(ours, 4096).endswith(signals.SHOW_CURSOR)
    os.close(ours)


def test_a_ctrl_c_that_also_ended_the_reader_of_the_messages_stops_the_run(tmp_path):
    # As in `snakemake all 2>&1 | tee log`.
    ours, theirs = os.pipe()
    with start_main(tmp_path, stderr=theirs) as main:
        os.close(theirs)
        assert main.stdout.readline() == "locked\n"
        os.close(ours)
        main.send_signal(signal.SIGINT)
        assert main.stdout.readline() == "graceful\n"
        main.communicate("")
        assert main.returncode == 0
    assert list((tmp_path / attempt_store.RECORDS).glob("*/asked to stop"))


def test_a_ctrl_c_that_was_ignored_from_the_start_stays_ignored(tmp_path):
    with start_main(tmp_path, f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN){MAIN}") as main:
        assert main.stdout.readline() == "locked\n"
        main.send_signal(signal.SIGINT)
        main.send_signal(signal.SIGTERM)
        assert main.stdout.readline() == "graceful\n"
        assert main.stdout.readline() == "SIGTERM\n"
        main.communicate("")


def test_on_a_cluster_a_ctrl_c_cancels_what_was_submitted(tmp_path):
    executor = """executor = SimpleNamespace(
    lock=threading.Lock(), active_jobs=["4711"], cancel_jobs=lambda jobs: print("cancelled", jobs, flush=True)
)
"""
    code = MAIN.replace("stopping.install_handlers()", f"{executor}stopping.install_handlers(executor)")
    with start_main(tmp_path, code) as main:
        assert main.stdout.readline() == "locked\n"
        main.send_signal(signal.SIGINT)
        lines = {main.stdout.readline() for _ in range(3)}
        assert lines == {"graceful\n", "SIGINT\n", "cancelled ['4711']\n"}
        main.communicate("")


def test_without_a_handler_to_lead_to_none_is_installed():
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        signals.install_handlers()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is before[signal.SIGINT]
    finally:
        signal.signal(signal.SIGTERM, before[signal.SIGTERM])


def test_the_end_of_a_run_that_was_not_stopped_names_no_signal():
    assert signals.stop_signal() is None


def test_handlers_are_given_back():
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    with pytest.raises(signals.Stopped) as caught, signals.stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.signal is signal.SIGTERM
    assert caught.value.exit_code == 143
    assert {number: signal.getsignal(number) for number in signals.SIGNALS} == before

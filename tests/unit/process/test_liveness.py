import os
import subprocess
import sys
import threading

import psutil

from tapemill.process import heartbeat, liveness
from tests.support.polling import wait_for
from tests.support.project import ROOT

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
# A "Snakemake" that holds the lock and starts a shell that starts a job, as Snakemake does.
MAIN = """
import subprocess, sys; from pathlib import Path
from tapemill.process import run_lock as runlock
runlock.acquire(Path(".snakemake"))
subprocess.run(["bash", "-c", f"{sys.executable} -c '{sys.argv[1]}'; true"])
"""
SAY = "from tapemill.process.liveness import current_run as run; print(run() and run().pid, flush=True)"


def test_a_job_finds_the_run_it_belongs_to(tmp_path):
    main = subprocess.Popen(
        [sys.executable, "-c", MAIN, SAY], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert main.communicate()[0].strip() == str(main.pid)


def test_a_script_started_beside_a_run_belongs_to_none(tmp_path):
    wait = "input()"
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, wait], cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.PIPE
    ) as main:
        done = subprocess.run(
            [sys.executable, "-c", SAY], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "None"
        main.communicate(b"\n")


def test_the_end_of_a_run_is_noticed_at_once():
    main = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run = liveness.run_of(main.pid)
    ended = threading.Event()
    liveness.watch(run, ended.set)
    assert not ended.wait(0.2)
    main.kill()
    # Not waited for: a zombie is as good as gone.
    assert ended.wait(5)
    assert not run.alive
    main.communicate()
    again = threading.Event()
    liveness.watch(run, again.set)
    assert again.wait(5)


def test_a_later_process_with_the_same_number_is_another_run():
    run = liveness.run_of(os.getpid())
    assert run.alive
    impostor = liveness.RunId(run.pid, run.started_ticks - 1)
    assert not impostor.alive
    ended = threading.Event()
    liveness.watch(impostor, ended.set)
    assert ended.wait(5)


ORPHAN = """
import sys, time; from pathlib import Path; from types import SimpleNamespace
from tapemill.jobs import entrypoint as script
Path("started").touch()
while not Path("go").exists():
    time.sleep(0.02)
job = SimpleNamespace(rule="cut_scene", log=["logs/job.log"], config={})
script.run_job(lambda job: Path("worked").touch(), job)
"""


def orphan(folder):
    """A job script that gets no further than its start before its run is killed."""
    (folder / "orphan.py").write_text(ORPHAN)
    start = f"import subprocess, sys; subprocess.run([sys.executable, {str(folder / 'orphan.py')!r}])"
    with (folder / "said").open("w") as said:
        command = [sys.executable, "-c", MAIN, start.replace("'", '"')]
        main = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stderr=said)
    wait_for((folder / "started").exists)
    main.kill()
    main.wait()


def said_to_stop(folder):
    return "so the job stops" in (folder / "said").read_text()


def test_a_job_that_was_starting_when_its_run_was_killed_does_not_begin(tmp_path):
    orphan(tmp_path)
    (tmp_path / "go").touch()
    wait_for(lambda: said_to_stop(tmp_path))
    assert not (tmp_path / "worked").exists()
    # It may be the next run's by now.
    assert not (tmp_path / "logs" / "job.log").exists()


def test_such_a_job_does_not_take_the_next_run_for_its_own(tmp_path):
    orphan(tmp_path)
    wait = [sys.executable, "-c", MAIN, "input()"]
    with subprocess.Popen(wait, cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.PIPE) as next_run:
        wait_for(lambda: str(next_run.pid) in (tmp_path / ".snakemake" / "tapemill.lock").read_text())
        (tmp_path / "go").touch()
        wait_for(lambda: said_to_stop(tmp_path) or (tmp_path / "worked").exists())
        next_run.communicate(b"\n")
    assert not (tmp_path / "worked").exists()


def test_a_script_that_somebody_starts_by_hand_works_without_a_run(tmp_path):
    (tmp_path / "orphan.py").write_text(ORPHAN)
    (tmp_path / "go").touch()
    with subprocess.Popen([sys.executable, "-c", MAIN, "raise SystemExit"], cwd=tmp_path, env=ENVIRONMENT) as past:
        past.wait()
    subprocess.run([sys.executable, "orphan.py"], cwd=tmp_path, env=ENVIRONMENT, check=True)
    assert (tmp_path / "worked").exists()


def test_on_another_machine_a_run_is_known_by_its_notes_and_its_heartbeat(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(heartbeat, "FIRST_BEAT_WAIT_S", 0.1)
    run = liveness.run_of(os.getpid())
    monkeypatch.setenv(liveness.RUN_VARIABLE, f"{liveness.BOOT_ID.read_text().strip()} {run.id}")
    assert liveness.current_run() == run
    monkeypatch.setenv(liveness.RUN_VARIABLE, f"2f1c1a4e-another-boot {run.id}")
    there = liveness.current_run()
    assert (there.id, there.is_here) == (run.id, False)
    # That a process here has its number says nothing.
    assert not there.alive
    heartbeat.start(run.id)
    assert there.alive
    heartbeat.stop(run.id)
    assert not there.alive


def test_scripts_and_workers_end_with_the_process_on_their_own_machine(monkeypatch):
    run = liveness.own_run()
    boot_id = liveness.BOOT_ID.read_text().strip()
    monkeypatch.setenv(liveness.RUN_VARIABLE, "2f1c1a4e-another-boot 1-1")
    monkeypatch.delenv(liveness.SUPERVISOR_VARIABLE, raising=False)
    assert liveness.supervisor() is None
    assert not liveness.has_supervisor()
    monkeypatch.setenv(liveness.SUPERVISOR_VARIABLE, "")
    liveness.set_supervisor()
    assert liveness.supervisor() == run
    assert liveness.has_supervisor()
    # Handed on to a third machine.
    monkeypatch.setenv(liveness.SUPERVISOR_VARIABLE, f"2f1c1a4e-another-boot {run.id}")
    assert liveness.supervisor() is None
    monkeypatch.setenv(liveness.RUN_VARIABLE, f"{boot_id} 1-1")
    assert liveness.supervisor() == liveness.RunId(1, 1)


STUCK = """
import logging, sys, threading; from pathlib import Path; from types import SimpleNamespace
from tapemill.jobs import entrypoint as script

def main(job):
    for handler in logging.getLogger().handlers:
        handler.acquire()
    Path("stuck").touch()
    threading.Event().wait()

script.run_job(main, SimpleNamespace(rule="cut_scene", log=["logs/job.log"], config={}))
"""


def test_a_job_whose_log_is_stuck_ends_with_its_run_as_well(tmp_path):
    (tmp_path / "stuck.py").write_text(STUCK)
    start = f'import subprocess, sys; subprocess.run([sys.executable, "{tmp_path / "stuck.py"}"])'
    main = subprocess.Popen([sys.executable, "-c", MAIN, start], cwd=tmp_path, env=ENVIRONMENT)
    wait_for((tmp_path / "stuck").exists)
    job = next(each for each in psutil.Process(main.pid).children(recursive=True) if "stuck.py" in each.cmdline()[-1])
    main.kill()
    main.wait()
    wait_for(lambda: not job.is_running() or job.status() == psutil.STATUS_ZOMBIE)

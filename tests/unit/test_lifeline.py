import os
import subprocess
import sys
import threading
from pathlib import Path

from tapemill import lifeline

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(lifeline.__file__).parents[1])}
# A "Snakemake" that holds the lock and starts a shell that starts a job, as Snakemake does.
MAIN = """
import subprocess, sys; from pathlib import Path; from tapemill import runlock
runlock.hold(Path(".snakemake"))
subprocess.run(["bash", "-c", f"{sys.executable} -c '{sys.argv[1]}'; true"])
"""
SAY = "from tapemill import lifeline; run = lifeline.current_run(); print(run.pid if run else None, flush=True)"


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
    run = lifeline.run_of(main.pid)
    ended = threading.Event()
    lifeline.on_end(run, ended.set)
    assert not ended.wait(0.2)
    main.kill()
    # Not waited for: a zombie is as good as gone.
    assert ended.wait(5)
    assert not run.alive
    main.communicate()
    again = threading.Event()
    lifeline.on_end(run, again.set)
    assert again.wait(5)


def test_a_later_process_with_the_same_number_is_another_run():
    run = lifeline.run_of(os.getpid())
    assert run.alive
    impostor = lifeline.Run(run.pid, run.started_ticks - 1)
    assert not impostor.alive
    ended = threading.Event()
    lifeline.on_end(impostor, ended.set)
    assert ended.wait(5)

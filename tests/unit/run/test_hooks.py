"""Start and end of a run, in real runs of Snakemake: locked while it lasts, and no success that is none."""

import fcntl
import json
import os
import subprocess
import sys

import pytest

from tapemill.process import heartbeat, results_lease, run_lock
from tapemill.storage.atomic import STAGING_FOLDER
from tapemill.workflow import up_to_date
from tests.support.polling import wait_for
from tests.support.project import ROOT

SNAKEFILE = """
from tapemill.config.row_fault import RowFault
from tapemill.core.errors import ConfigError
from tapemill.process import results_lease
from tapemill.run import hooks

results_lease.BEAT_INTERVAL_S = 0.05
PLANNED_ON = hooks.state_before_planning()
FAULTS = [RowFault("T", ConfigError("row 2 is wrong"))] if config.get("fault") else []
MANY = expand("results/{tape}/a.txt", tape=range(12))

onstart:
    hooks.on_run_start(workflow, PLANNED_ON, config.get("waiting", "").split())

onsuccess:
    hooks.on_run_end(workflow, logger, is_ok=True, faults=FAULTS)

onerror:
    hooks.on_run_end(workflow, logger, is_ok=False, faults=FAULTS)

rule make:
    output: "results/{tape}/a.txt"
    log: "logs/make/{tape}.log"
    shell: "cp .snakemake/tapemill.lock lock; cp results/.tapemill.lease lease; touch {output}"

rule fail:
    output: "results/{tape}/fails.txt"
    log: "logs/fail/{tape}.log"
    shell: "exit 1"

rule wait:
    output: "results/{tape}/waits.txt"
    log: "logs/wait/{tape}.log"
    shell: "touch started; until [ -e go ]; do sleep 0.05; done; touch {output}"

rule spoil:
    input: MANY
    output: "spoilt.txt"
    log: "logs/spoil.log"
    shell: "rm {input}; touch {output}"

rule two:
    input: "results/T/waits.txt", "results/S/waits.txt"

rule show_plan:
    log: "logs/plan.log"
    shell: "echo the plan"
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests" / "plugins")])}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", *arguments]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(*arguments):
    """Exit code and output of a run."""
    process = start(*arguments)
    output = process.communicate(timeout=300)[0]
    return process.returncode, output


def test_a_run_is_locked_while_it_lasts_and_leaves_nothing_behind(folder):
    digest = folder / up_to_date.DIGESTS / "T.json"
    leftover = folder / "results" / STAGING_FOLDER / "T" / "half.mkv"
    for path in (digest, leftover):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    code, output = run("results/T/a.txt", "--config", "waiting=S")
    assert code == 0, output
    assert "Nothing failed, nothing was replaced." in output
    # As the job saw it.
    lock, lease = (json.loads((folder / name).read_text()) for name in ("lock", "lease"))
    assert lease["run"].startswith(f"{lock['pid']}-") and not lease["is_released"]
    for name in ("results", "results/T", "results/S"):
        assert results_lease.holder(folder / name).is_released
    assert not digest.exists() and not leftover.exists()


def test_a_second_run_is_refused_and_one_that_only_shows_the_plan_is_not(folder):
    (folder / ".snakemake").mkdir()
    with (folder / ".snakemake" / run_lock.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, output = run("results/T/a.txt")
        assert code == 1
        assert "another run is active in this folder" in output
        code, output = run("show_plan")
        assert code == 0, output
    assert "the plan" in output
    assert "Nothing failed" not in output
    assert not (folder / "results").exists()


def test_a_failed_job_and_a_wrong_row_are_named_at_the_end(folder):
    code, output = run("results/T/fails.txt", "--config", "fault=1")
    assert code == 1
    assert "1 job failed:" in output
    assert "row 2 is wrong" in output
    assert results_lease.holder(folder / "results").is_released


def test_a_wrong_row_alone_is_no_success(folder):
    code, output = run("results/T/a.txt", "--config", "fault=1")
    assert code == 1
    assert (folder / "results/T/a.txt").exists()
    assert "row 2 is wrong" in output
    assert "rows of the table of scene settings apply to nothing" in output


def test_a_success_without_the_requested_files_is_a_failure(folder):
    code, output = run("spoilt.txt", *(f"results/{tape}/a.txt" for tape in range(12)))
    assert code == 1
    assert "Snakemake reported success, but 12 of the requested files do not exist: " in output
    assert " and 2 more" in output
    assert "start the same command again" in output


def test_a_run_whose_results_another_one_took_over_starts_no_more_jobs(folder):
    process = start("two")
    wait_for((folder / "started").exists, seconds=120)
    path = folder / "results" / results_lease.LEASE
    wait_for(lambda: "beat" in path.read_text() and json.loads(path.read_text())["beat"] > 0)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "another", "run": "1-2"}))
    output = ""
    while "Will exit after finishing currently running jobs" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    assert list((folder / heartbeat.NOTES).glob("*/asked to stop"))
    (folder / "go").touch()
    output += process.communicate(timeout=120)[0]
    assert process.returncode == 1, output
    assert "was taken over, because this run gave no sign: run 1-2 on another" in output
    assert len(list((folder / "results").glob("*/waits.txt"))) == 1
    # The other run's lease is left alone.
    assert not results_lease.holder(folder / "results").is_released


def test_a_run_on_a_cluster_gives_a_sign_of_life_until_it_ends(folder):
    code, output = run("results/T/a.txt", "--executor", "standin", "--jobs", "1", "--latency-wait", "10")
    assert code == 0, output
    assert (folder / "submissions").exists()
    assert list((folder / heartbeat.NOTES).iterdir())
    assert not list((folder / heartbeat.NOTES).glob("*/alive"))

"""One run at a time, and going on where a run was stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64decode

import pytest

from tapemill.process import results_lease, run_lock
from tests.support.polling import wait_for
from tests.support.project import ROOT, Project, this_checkout

HOLDER = """
import sys; from pathlib import Path
from tapemill.process import run_lock as runlock
runlock.acquire(Path(".snakemake")); print("held", flush=True); sys.stdin.read()
"""
CLIPS = "results/T01/enhanced"


@pytest.fixture(autouse=True)
def library_of_this_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", this_checkout())


def start(project, *arguments, cores=2):
    """The command, not waited for, as the foreground process group of a terminal. What it says is in `said`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *arguments]
    command += ["--profile", str(ROOT / "profiles" / "cpu"), "--directory", str(project.folder), "--cores", str(cores)]
    with project.path("said").open("w") as said:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )


def without_clips(project):
    """All clips are to be made again, and the tape."""
    for path in [*project.path(CLIPS).iterdir(), project.path("results/T01/T01.mkv")]:
        path.unlink()
    return project


def marked(project):
    """Outputs of jobs that Snakemake holds for running."""
    return {urlsafe_b64decode(path.name).decode() for path in project.path(".snakemake/incomplete").glob("*")}


def test_a_second_run_is_told_who_is_at_work_and_a_plan_is_not(copy):
    without_clips(copy)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=copy.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        for target in ("all", "results/T01/T01.mkv"):
            refused = copy.run(target)
            assert refused.exit_code != 0
            assert f"another run is active in this folder: process {holder.pid} on " in refused.output
            assert "Traceback" not in refused.output
            assert not refused.jobs
        assert copy.run("all", "-n").exit_code == 0
        holder.kill()
    assert not list(copy.path(CLIPS).iterdir())


@pytest.mark.parametrize("linked", ["results", "results/T01"])
def test_two_working_folders_with_one_results_folder_do_not_write_both(copy, tmp_path, linked):
    without_clips(copy)
    other = Project.existing(tmp_path / "other")
    shutil.copytree(copy.folder, other.folder, symlinks=True)
    shutil.rmtree(other.path(linked))
    other.path(linked).symlink_to(copy.path(linked))
    holder = start(copy, "all")

    def holds_the_tape():
        # The copied folder has the lease of the run that made it.
        found = results_lease.holder(copy.path("results/T01"))
        return (found is not None and found.run.startswith(f"{holder.pid}-")) or holder.poll() is not None

    wait_for(holds_the_tape)
    refused = other.run("all")
    assert refused.exit_code != 0
    assert f"another run writes to this folder: run {holder.pid}-" in refused.output
    assert str(copy.folder) in refused.output
    assert not refused.jobs
    assert other.run("all", "-n").exit_code == 0
    assert holder.wait(300) == 0, copy.path("said").read_text()
    assert not other.half_made()
    assert not other.run("results/T01/T01.mkv").jobs["enhance_scene"]


@pytest.mark.long
def test_a_cut_whose_clip_was_done_when_the_run_was_killed_is_removed(copy):
    cut, needed = copy.path("results/T01/scenes/0000050.mkv"), copy.path("results/T01/scenes/0000100.mkv")
    cut.parent.mkdir(exist_ok=True)
    copy.make("results/T01/scenes/0000100.mkv", "--notemp")
    cut.write_bytes(needed.read_bytes())
    before_the_clip_ns = copy.path(f"{CLIPS}/0000050.mkv").stat().st_mtime_ns - 1_000_000_000
    os.utime(cut, ns=(before_the_clip_ns, before_the_clip_ns))
    copy.path(f"{CLIPS}/0000100.mkv").unlink()
    copy.path("results/T01/T01.mkv").unlink()
    assert dict(copy.make("all").jobs) == {"enhance_scene": 1, "mux_tape": 1, "write_provenance": 1}
    assert not list(cut.parent.glob("*"))


@pytest.mark.long
def test_only_jobs_that_were_running_are_done_again(copy, finished):
    without_clips(copy)
    run = start(copy, "all", cores=1)

    def finished_clips():
        names = {str(path.relative_to(copy.folder)) for path in copy.path(CLIPS).glob("[0-9]*")}
        running = {name.partition(".")[0] for name in marked(copy)}
        return {name for name in names if name.partition(".")[0] not in running}

    wait_for(lambda: len(finished_clips()) >= 4, seconds=300)
    run.kill()
    run.wait()
    kept = {name: copy.path(name).stat().st_ino for name in finished_clips()}
    cuts = {path.stem for path in copy.path("results/T01/scenes").glob("[0-9]*.mkv")}
    cuts = {scene for scene in cuts if f"results/T01/scenes/{scene}.mkv" not in marked(copy)}
    clips = {name for name in kept if name.endswith(".mkv")}
    to_do = {path.stem for path in finished.path(CLIPS).glob("*.mkv")} - {name[-11:-4] for name in clips}
    again = copy.make("all")
    assert again.jobs["enhance_scene"] == len(to_do)
    assert again.jobs["cut_scene"] == len(to_do - cuts)
    assert set(again.jobs) <= {"enhance_scene", "cut_scene", "mux_tape", "write_provenance"}
    assert {name: copy.path(name).stat().st_ino for name in kept} == kept
    assert copy.path("results/T01/T01.mkv").read_bytes() == finished.path("results/T01/T01.mkv").read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGTERM to all"])
def test_a_run_that_is_asked_to_stop_leaves_nothing_half_made(copy, finished, how):
    without_clips(copy)
    run = start(copy, "all")
    wait_for(copy.half_made, seconds=300)
    if how == "Ctrl-C":
        os.killpg(run.pid, signal.SIGINT)
    elif how == "SIGTERM to all":
        os.killpg(run.pid, signal.SIGTERM)
    else:
        run.terminate()
    begun = marked(copy)
    assert run.wait(300) not in (0, -signal.SIGINT, -signal.SIGTERM)
    said = copy.path("said").read_text()
    assert "Traceback" not in said
    assert f"The run was stopped by {'SIGINT' if how == 'Ctrl-C' else 'SIGTERM'}" in said
    assert "the same command goes on" in said
    for nonsense in ("Nothing failed", "Trying to restart", "Error in rule", "failed:"):
        assert nonsense not in said
    assert not copy.half_made()
    if how == "Ctrl-C":
        assert "running jobs clean up and end" in said
    elif how == "SIGTERM":
        # What was running has come to its end, and counts.
        assert all(copy.path(name).exists() for name in begun if CLIPS in name)
    assert not marked(copy)
    copy.make("all")
    assert copy.path("results/T01/T01.mkv").read_bytes() == finished.path("results/T01/T01.mkv").read_bytes()


@pytest.mark.long
def test_a_second_ctrl_c_ends_everything_at_once(copy):
    without_clips(copy)
    run = start(copy, "all")
    wait_for(copy.half_made, seconds=300)
    for _ in range(2):
        os.killpg(run.pid, signal.SIGINT)
        time.sleep(0.1)
    assert run.wait(20) != 0
    assert json.loads(copy.path(".snakemake/tapemill.lock").read_text())["pid"] == run.pid
    assert run_lock.change_marker(copy.path(".snakemake"))
    assert copy.make("all").jobs["mux_tape"] == 1

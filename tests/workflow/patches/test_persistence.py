"""Snakemake's own records, in real runs: on disk before they are relied on, and nothing comes back in halves."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.project import ROOT

SNAKEFILE = """
import os, shutil, signal
from tapemill.run import hooks

def told(name, function):
    def call(what, *more, **options):
        path = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else os.path.abspath(what)
        with open("calls", "a") as stream:
            print(name, path, file=stream)
        return function(what, *more, **options)
    return call

os.fsync, os.remove = told("sync", os.fsync), told("remove", os.remove)
onstart:
    if "unhardened" not in config:
        hooks.on_run_start(workflow, hooks.state_before_planning(), [])
"""
MAKE = """
rule make:
    output: "a.txt"
    shell: "echo 'job' `pwd`/a.txt >> calls; echo whole > {output}"
"""
UPDATE = """
copy = shutil.copy
def die_in_the_middle(source, target):
    if "backups" not in str(source):
        return copy(source, target)
    with open(target, "w") as stream:
        stream.write(open(source).read()[:7])
    os.kill(os.getpid(), signal.SIGKILL)
shutil.copy = die_in_the_middle

rule correct:
    output: update("a.srt")
    shell: "exit 1"
"""
MARK, RECORD = ".snakemake/incomplete/YS50eHQ=", ".snakemake/metadata/YS50eHQ="  # of a.txt


def snakemake(folder, snakefile, *arguments):
    (folder / "Snakefile").write_text(SNAKEFILE + snakefile)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "--rerun-incomplete", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_marker_and_record_are_on_disk_before_snakemake_goes_on(tmp_path):
    done = snakemake(tmp_path, MAKE)
    assert done.returncode == 0, done.stderr
    calls = [line.replace(f"{tmp_path}/", "") for line in (tmp_path / "calls").read_text().splitlines()]
    # Snakemake writes the marker when the job has been submitted; a short job may be done by then.
    assert "job a.txt" in calls
    order = [calls.index(call) for call in (f"sync {MARK}", f"sync {RECORD}", f"remove {MARK}")]
    assert order == sorted(order), calls


def test_an_output_that_was_not_recorded_yet_is_made_again_and_half_a_record_is_no_obstacle(tmp_path):
    assert snakemake(tmp_path, MAKE).returncode == 0
    record = tmp_path / RECORD
    record.write_text(record.read_text()[:50])
    (tmp_path / MARK).touch()
    again = snakemake(tmp_path, MAKE)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "calls").read_text().count("job ") == 2
    assert json.loads(record.read_text())["rule"] == "make"


@pytest.mark.parametrize("hardened", [True, False])
def test_a_kept_copy_comes_back_whole_or_not_at_all(tmp_path, hardened):
    subtitles = tmp_path / "a.srt"
    subtitles.write_text("what somebody corrected by hand")
    done = snakemake(tmp_path, UPDATE, "--forceall", *([] if hardened else ["--config", "unhardened=1"]))
    assert done.returncode == -9, done.stdout + done.stderr
    # Snakemake alone would tear it; when it does so no longer, `bookkeeping.harden` can lose half its work.
    assert (subtitles.read_text() == "what somebody corrected by hand") == hardened


def test_copies_that_a_killed_run_left_are_gone(tmp_path):
    old = tmp_path / ".snakemake" / "backups" / "a.srt"
    old.parent.mkdir(parents=True)
    old.write_text("deleted on purpose since")
    script = tmp_path / ".snakemake" / "scripts" / "tmpx.cut_scene.py"
    script.parent.mkdir()
    script.touch()
    done = snakemake(tmp_path, UPDATE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert not (tmp_path / "a.srt").exists()
    assert not old.exists()
    assert not script.exists()

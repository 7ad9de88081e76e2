"""Runtime folders: the user's alone, shared by all runs of the user, and without remains of ended ones."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tapemill.core.errors import SetupError
from tapemill.process import runtime_dirs
from tapemill.process.liveness import own_run, run_of


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path


def test_it_is_made_for_the_user_alone_and_is_the_same_each_time(base):
    folder = runtime_dirs.runtime_folder()
    assert folder == base / "tapemill"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert runtime_dirs.runtime_folder() == folder


def test_a_folder_that_others_may_enter_is_refused(base):
    (base / "tapemill").mkdir(mode=0o755)
    with pytest.raises(SetupError, match="belong to you only") as caught:
        runtime_dirs.runtime_folder()
    assert caught.value.file == base / "tapemill"


def test_a_link_is_refused_whatever_it_leads_to(base):
    (base / "elsewhere").mkdir(mode=0o700)
    (base / "tapemill").symlink_to("elsewhere")
    with pytest.raises(SetupError, match="belong to you only"):
        runtime_dirs.runtime_folder()


def test_without_the_variable_it_is_where_the_system_has_it_or_among_temporary_files(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    # A user who has never logged in.
    uid = os.getuid() + 4_200_000
    monkeypatch.setattr(os, "getuid", lambda: uid)
    folder = Path(f"/tmp/tapemill-{uid}")
    try:
        # It is there by now, and its owner is another one.
        with pytest.raises(SetupError, match="belong to you only") as caught:
            runtime_dirs.runtime_folder()
        assert caught.value.file == folder
    finally:
        folder.rmdir()


@pytest.mark.parametrize(("number", "name"), [("4711", "slurm4711"), ("", ""), ("../4711", "")])
def test_only_a_number_names_an_allocation(number, name):
    assert runtime_dirs.allocation({"SLURM_JOB_ID": number}) == name


def test_leases_are_shared_outside_of_slurm_and_apart_in_each_allocation(base, monkeypatch):
    assert runtime_dirs.lease_folder() == base / "tapemill"
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert runtime_dirs.lease_folder() == base / "tapemill" / "slurm4711"
    assert runtime_dirs.lease_folder().is_dir()


def test_a_new_allocation_removes_those_that_are_older_than_a_week(base, monkeypatch):
    old, recent = (base / "tapemill" / name for name in ("slurm1", "slurm2"))
    runtime_dirs.runtime_folder()
    for folder, age_s in ((old, runtime_dirs.WEEK_S + 60), (recent, 60)):
        folder.mkdir()
        os.utime(folder, (time.time() - age_s,) * 2)
    monkeypatch.setenv("SLURM_JOB_ID", "3")
    runtime_dirs.lease_folder()
    assert sorted(path.name for path in (base / "tapemill").iterdir()) == ["slurm2", "slurm3"]


def test_a_run_removes_the_folders_of_ended_runs_and_no_others(base):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        running = runtime_dirs.run_folder(run_of(other.pid))
        own = own_run()
        ended = [base / "tapemill" / name for name in (f"run-{own.pid}-1", "run-0-1", "run-of somebody")]
        for folder in ended:
            folder.mkdir()
        folder = runtime_dirs.run_folder(own)
        assert folder == base / "tapemill" / f"run-{own.id}"
        assert running.is_dir() and not any(path.exists() for path in ended)
        assert runtime_dirs.run_folder(own) == folder
        other.communicate(b"\n")

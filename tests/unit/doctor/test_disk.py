"""What the doctor says of disks, runs, leftovers and the plan."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys

import pytest

from tapemill.lanes import lease
from tapemill.process.runtime_dirs import runtime_folder
from tapemill.storage import disk_space, mounts
from tapemill.storage.mounts import Mount, ignores_case, synced_by
from tests.support.project import this_checkout
from tests.support.small_disk import small_disk


def test_room_and_kind_are_told_and_nothing_is_written(patient):
    before = sorted(patient.folder.rglob("*"))
    (found,) = patient.found("check_folders", level="ok")
    assert found.title.startswith("results: ")
    assert [name for name, _ in found.facts] == ["folder", "disk"]
    assert sorted(patient.folder.rglob("*")) == before


def test_less_room_than_is_to_stay_free_is_an_error(patient):
    patient.configure(disk={"reserve_gb": 100000})
    wrong = patient.only("check_folders")
    assert "less than the reserve of 100000.0 GB (disk: reserve_gb)" in wrong.title
    assert "free space there" in wrong.remedy


def test_a_tape_that_needs_more_than_there_is_is_an_error(patient):
    source = patient.path("one.mkv")
    # A file of holes: as large as it says, and no byte on the disk.
    os.truncate(source, 4 * (disk_space.free_bytes(patient.folder) // 4096) * 4096)
    wrong = patient.only("check_space")
    assert "what is to be made (one) needs up to" in wrong.title
    os.truncate(source, 1_000_000)
    assert patient.found("check_space")[0].title.startswith("space needed (one): up to 0.4 MB of ")
    patient.path("results/one").mkdir(parents=True)
    patient.path("results/one/one.mkv").write_bytes(b"done")
    assert patient.found("check_space") == []


def test_a_tape_on_a_disk_of_its_own_is_looked_at_there(patient, tmp_path):
    with small_disk(tmp_path / "other", "8m") as other:
        patient.path("results").mkdir()
        patient.path("results/one").symlink_to(other.path)
        patient.configure(disk={"reserve_gb": 0})
        places = patient.found("check_folders")
        memory = next(finding for finding in places if finding.level == "warning")
        assert "results/one is in memory (tmpfs)" in memory.title
        patient.configure(disk={"reserve_gb": 1})
        assert patient.only("check_folders").title.startswith("results/one: ")
        other.lock()
        titles = [finding.title for finding in patient.found("check_folders", level="error")]
        assert "the disk of results/one is mounted read-only" in titles
        assert "nothing can be written to results/one" in titles


def test_a_read_only_folder_is_an_error_and_all_else_is_told(tmp_path, monkeypatch):
    with small_disk(tmp_path / "work", "8m") as other:
        (other.path / "config").mkdir()
        (other.path / "config" / "config.yaml").write_text("disk: {reserve_gb: 0}\n")
        (other.path / "config" / "tapes.tsv").write_text("tape\tsource\n")
        other.lock()
        done = subprocess.run(
            [sys.executable, "-m", "tapemill", "doctor", "--json"],
            capture_output=True,
            text=True,
            check=False,
            cwd=other.path,
            env=os.environ | {"PYTHONPATH": this_checkout(), "XDG_RUNTIME_DIR": str(tmp_path / "run")},
        )
        assert (done.returncode, done.stderr) == (1, "")
        told = json.loads(done.stdout)["findings"]
        assert "the disk of results is mounted read-only" in [
            each["title"] for each in told if each["level"] == "error"
        ]
        assert {"encoders", "machine"} <= {each["subject"] for each in told if each["level"] == "ok"}


@pytest.mark.parametrize(
    ("kind", "level", "says"),
    [
        ("nfs4", "warning", "is on a network disk (nfs4)"),
        ("fuse.rclone", "warning", "is stored elsewhere by a program"),
        ("vfat", "warning", "no file can be larger than 4 GB"),
        ("tmpfs", "warning", "is in memory (tmpfs)"),
    ],
)
def test_traps_of_file_systems(patient, monkeypatch, kind, level, says):
    # Such a file system cannot be mounted here: what the kernel would say of it.
    monkeypatch.setattr(mounts, "mount_of", lambda place: Mount(place, kind, False))
    found = patient.found("check_folders", level=level)
    assert any(says in finding.title and finding.remedy for finding in found)


def test_a_disk_without_locks_is_an_error(patient, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert "has no locks (flock)" in patient.only("check_folders").title


def test_a_folder_that_is_kept_alike_with_others_is_a_warning(patient):
    assert synced_by(patient.folder) is None
    (patient.folder.parent / ".stfolder").mkdir()
    hint = patient.only("check_folders", level="warning")
    assert "synchronise this folder" in hint.title
    assert hint.facts == [("found", str(patient.folder.parent / ".stfolder"))]


def test_names_that_ignore_capitals_are_noticed(patient):
    assert not ignores_case(patient.folder)
    # What such a disk looks like: every name is there in other capitals too, and is the same file.
    for entry in list(patient.folder.iterdir()):
        patient.path(entry.name.swapcase()).symlink_to(entry)
    assert ignores_case(patient.folder)
    assert "capitals" in patient.only("check_folders", level="warning").title


LOCK = ".snakemake/tapemill.lock"


def holder(**changed):
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": "2026-01-01 10:00:00", "command": ["snakemake"]}
    return json.dumps(facts | changed)


def test_an_active_run_is_a_warning_and_its_lock_is_left_alone(patient):
    assert patient.found("check_runs")[0].title == "no run is active in this folder"
    patient.path(".snakemake").mkdir()
    with patient.path(LOCK).open("w+") as lock:
        lock.write(holder(command=["snakemake", "--config", "hf_token=abc"]))
        lock.flush()
        assert "the last began at 2026-01-01" in patient.found("check_runs")[0].title
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = patient.only("check_runs", level="warning")
        assert ("process", str(os.getpid())) in found.facts
        assert "nothing needs to be unlocked" in found.remedy
    assert patient.found("check_runs")[0].level == "ok"
    patient.path(LOCK).write_text(holder(host="elsewhere"))
    assert "the last run here was on elsewhere" in patient.found("check_runs")[0].title


def test_a_gpu_in_use_is_named_with_who_has_it(patient):
    assert patient.found("check_leases") == []
    folder = runtime_folder()
    with lease.leased(folder, "xpu0", "run 4711", lambda said: None) as held:
        held.update("enhance_scene T01 0000000")
        (found,) = patient.found("check_leases")
        assert found.level == "ok"
        assert found.title.startswith("xpu0 is in use: run 4711 (process ")
    assert patient.found("check_leases") == []


def test_what_a_killed_run_left_is_counted(patient):
    assert patient.found("check_leftovers") == []
    for name in (".snakemake/incomplete/a", ".snakemake/locks/0.input.lock", "results/.partial/abc/one/x.mkv"):
        patient.path(name).parent.mkdir(parents=True)
        patient.path(name).write_bytes(b"1234")
    marked, unfinished, locked = patient.found("check_leftovers")
    assert "a run left incomplete: 1" in marked.title
    assert unfinished.title.startswith("unfinished files: 1, 0.0 MB")
    assert locked.level == "warning"
    assert "snakemake --unlock" in locked.remedy


def test_a_run_of_another_folder_that_writes_to_the_results_is_named(patient, tmp_path):
    results = patient.path("results")
    results.mkdir(exist_ok=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "results").symlink_to(results.resolve())
    code = "from tapemill.process.results_lease import acquire, change_marker; import sys; "
    code += "acquire([], change_marker(), print); print('held', flush=True); sys.stdin.read()"
    assert patient.found("check_results_lease") == []
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=other,
        env=os.environ | {"PYTHONPATH": this_checkout()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        found = patient.only("check_results_lease", level="warning")
        assert ("folder", str(other)) in found.facts
        holder.kill()
    assert "was killed" in patient.found("check_results_lease", level="ok")[0].title

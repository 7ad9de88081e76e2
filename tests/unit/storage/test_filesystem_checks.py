"""What is tried out of a file system, on real ones and on what a kernel may say of others."""

import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tapemill.core.errors import DiskFull, NotWritable
from tapemill.storage import filesystem_checks
from tests.support.project import ROOT, Project, this_checkout
from tests.support.small_disk import small_disk

KERNEL = ROOT / "tests" / "support" / "fakes" / "syscall_faults.py"
TRY = "import sys; from pathlib import Path; "
TRY += "from tapemill.storage.filesystem_checks import check_filesystem; check_filesystem(Path(sys.argv[1]))"

# As much of a plugin of Snakemake as it loads before it reads the Snakefile.
SHELF = """
from snakemake_interface_storage_plugins.storage_object import StorageObjectRead, StorageObjectWrite
from snakemake_interface_storage_plugins.storage_provider import StorageProviderBase

class StorageProvider(StorageProviderBase):
    __post_init__ = example_queries = rate_limiter_key = is_valid_query = lambda *_: None
    default_max_requests_per_second = use_rate_limiter = lambda *_: False

class StorageObject(StorageObjectRead, StorageObjectWrite):
    pass
"""

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls have other numbers there")


def answering(answer, *command, cwd=None):
    """Run a command under a kernel that answers some calls by itself."""
    return subprocess.run(
        [sys.executable, str(KERNEL), answer, "--", *map(str, command)],
        env=os.environ | {"PYTHONPATH": this_checkout(), "COLUMNS": "250"},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def names_in(folder):
    return [path.name for path in folder.iterdir()]


@contextmanager
def mounted(folder, *options):
    """Mount something at a new folder. Skips where that is not allowed."""
    folder.mkdir()
    done = subprocess.run(["mount", *options, folder], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a file system can be mounted by root only: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def old_ext3(tmp_path):
    """One with inodes as they were before ext4: file times are whole seconds."""
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, 4 << 20)
    done = subprocess.run(["mkfs.ext3", "-q", "-I", "128", image], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr)
    with mounted(tmp_path / "old", "-o", "loop", image) as folder:
        yield folder


def test_a_disk_that_does_all_is_left_as_it_was(tmp_path):
    (tmp_path / "one").touch()
    times = filesystem_checks.check_filesystem(tmp_path)
    assert names_in(tmp_path) == ["one"]
    assert times.steps_s < 1e-6
    assert abs(times.ahead_s) < 60


@on_x86
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("flock=0", "gives one lock to two (flock)"),
        ("flock=ENOLCK", "has no locks (flock): two runs there would not notice each other: No locks available"),
        ("flock=ENOSYS", "has no locks (flock)"),
        ("fsync=EINVAL", "does not confirm that a file is written (fsync)"),
        ("rename=EXDEV", "cannot replace a file by another (rename)"),
        ("rename=0", "does not replace a file by another (rename), although it reports success"),
        ("utimensat=0", "does not keep the time that a file is set to"),
        ("utimensat=EOPNOTSUPP", "refuses to set a file's time"),
    ],
)
def test_what_a_disk_does_not_do_is_said_with_the_folder_and_nothing_is_left(tmp_path, answer, says):
    done = answering(answer, sys.executable, "-c", TRY, tmp_path)
    assert done.returncode == 1
    said = done.stderr.partition("UnfitDisk: ")[2]
    assert said.startswith(f"the disk of {tmp_path} {says}"), done.stderr
    assert f"file: {tmp_path}" in said
    assert "what to do: put the working folder on another disk" in said
    assert not names_in(tmp_path)


@on_x86
def test_a_disk_that_is_full_in_the_middle_of_it_is_not_unfit(tmp_path):
    done = answering("fsync=ENOSPC", sys.executable, "-c", TRY, tmp_path)
    assert done.returncode == 1
    assert "DiskFull: the disk is full (No space left on device)" in done.stderr
    assert not names_in(tmp_path)


@on_x86
def test_a_run_where_locks_are_given_to_everybody_is_refused_before_it_makes_anything(tmp_path):
    project = Project(tmp_path / "project")
    project.path("clip.mkv").write_bytes(b"some")
    project.sheet({"tape": "T", "source": "clip.mkv"})
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "1"]
    snakemake += ["--profile", ROOT / "profiles" / "cpu", "results/T/capture.json"]
    plan = answering("flock=0", *snakemake, "-n", cwd=project.folder)
    assert plan.returncode == 0, plan.stdout + plan.stderr
    run = answering("flock=0", *snakemake, cwd=project.folder)
    assert run.returncode == 1
    said = run.stdout + run.stderr
    assert "gives one lock to two (flock): two runs there would not notice each other" in said
    assert "see docs/storage.md" in said
    assert not project.path("results/T").exists()
    assert not project.path("logs").exists()


def test_results_that_a_storage_provider_is_to_keep_are_refused_while_the_run_is_planned(tmp_path, monkeypatch):
    plugin = tmp_path / "plugins" / "snakemake_storage_plugin_shelf"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(SHELF)
    monkeypatch.setenv("PYTHONPATH", str(plugin.parent))
    project = Project(tmp_path / "project")
    project.path("clip.mkv").write_bytes(b"some")
    project.sheet({"tape": "T", "source": "clip.mkv"})
    provider = ["--default-storage-provider", "shelf", "--default-storage-prefix", "shelf://"]
    run = project.run("results/T/capture.json", "-n", *provider)
    assert run.exit_code == 1
    assert "results are to be kept by the storage provider 'shelf', but they have to be files" in run.output
    assert "what to do: leave out --default-storage-provider" in run.output


def test_room_and_rights_are_not_the_run_s_question_here(tmp_path, monkeypatch):
    with small_disk(tmp_path / "work", "1m") as disk:
        monkeypatch.chdir(disk.path)
        disk.fill()
        with pytest.raises(DiskFull):
            filesystem_checks.check_filesystem(disk.path)
        # `clean` has to begin all the same.
        filesystem_checks.check_all_filesystems(Path(".snakemake"))
        assert names_in(disk.path) == ["balloon"]
        disk.empty()
        disk.lock()
        with pytest.raises(NotWritable):
            filesystem_checks.check_filesystem(disk.path)
        filesystem_checks.check_all_filesystems(Path(".snakemake"))
        disk.unlock()


def test_every_disk_that_a_tape_or_a_stage_is_on_is_tried(tmp_path, monkeypatch):
    (tmp_path / "work" / "results" / "one").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    with small_disk(tmp_path / "tape", "1m") as tape, small_disk(tmp_path / "stage", "1m") as stage:
        Path("results/two").symlink_to(tape.path)
        Path("results/one/enhanced").symlink_to(stage.path)
        places = [tape.path, stage.path, Path("results")]
        for place in places:
            os.utime(place, (1, 1))
        filesystem_checks.check_all_filesystems(Path(".snakemake"))
        # What is made in a folder, and removed, sets its time.
        assert all(place.stat().st_mtime > 1 for place in places)


def test_what_a_killed_trial_left_is_removed_unless_it_may_be_at_work(tmp_path):
    for age_s, name in ((0, "now"), (2 * filesystem_checks.STALE_S, "old")):
        left = tmp_path / f"{filesystem_checks.PREFIX}{name}"
        (left / "to").mkdir(parents=True)
        os.utime(left, (time.time() - age_s, time.time() - age_s))
    filesystem_checks.check_filesystem(tmp_path)
    assert names_in(tmp_path) == [f"{filesystem_checks.PREFIX}now"]


def test_file_times_of_whole_seconds_are_told_by_the_doctor(patient, tmp_path):
    patient.configure(disk={"reserve_gb": 0})
    with old_ext3(tmp_path) as old:
        assert filesystem_checks.check_filesystem(old).steps_s > 0.9
        patient.path("results").mkdir()
        patient.path("results/one").symlink_to(old)
        hint = patient.only("check_folders", level="warning")
        assert hint.title.startswith("results/one: file times have steps of more than 1.0 s")
        assert not patient.found("check_folders", level="fault")


def test_files_can_be_put_in_the_place_of_others_on_an_overlay(tmp_path):
    with small_disk(tmp_path / "base", "4m") as base:
        parts = {name: base.path / name for name in ("lower", "upper", "work")}
        for part in parts.values():
            part.mkdir()
        options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
        with mounted(tmp_path / "merged", "-t", "overlay", "overlay", "-o", options) as merged:
            filesystem_checks.check_filesystem(merged)
            assert not names_in(merged)


def test_a_disk_whose_clock_is_another_is_told_by_the_doctor(patient, monkeypatch):
    # A server's clock cannot be set here; this machine's can, as far as this process sees it.
    really = time.time
    monkeypatch.setattr(time, "time", lambda: really() - 300)
    hint = patient.only("check_folders", level="warning")
    assert "the clock of its disk is 300 s ahead of this machine's" in hint.title

"""Snakemake's own records, in real runs: on disk before they are relied on, and nothing comes back in halves."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapemill.snakemake_compat import persistence
from tests.support.project import ROOT

FIXTURES = Path(__file__).parents[1] / "fixtures"
SNAKEFILE = (FIXTURES / "persistence.smk").read_text()
MAKE = (FIXTURES / "persistence_make.smk").read_text()
FAILS = """
rule correct:
    output: update("a.srt")
    shell: "echo half > {output}; exit 1"

rule correct_parts:
    output: update(directory("parts"))
    shell: "echo half > {output}/a.srt; exit 1"
"""
TEMPORARY = """
rule cut:
    output: temp("cut")
    shell: "touch {output}"

rule clip:
    input: "cut"
    output: "clip"
    shell: "touch {output}"

rule by_rule:
    output: temp("wanted by rule")
    shell: "touch '{output}'"

rule by_file:
    output: temp("wanted")
    shell: "touch {output}"

rule other:
    output: "other"
    shell: "touch {output}"
"""
UPDATE = (FIXTURES / "persistence_update.smk").read_text()
FAILED = (FIXTURES / "persistence_failed.smk").read_text()
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


def test_what_a_failed_job_has_half_changed_comes_back_as_it_was(tmp_path):
    (tmp_path / "a.srt").write_text("what somebody corrected by hand")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.srt").write_text("by hand, too")
    done = snakemake(tmp_path, FAILS, "--forceall", "--keep-going", "a.srt", "parts")
    assert done.returncode == 1, done.stdout + done.stderr
    assert (tmp_path / "a.srt").read_text() == "what somebody corrected by hand"
    # A folder is left to Snakemake.
    assert (tmp_path / "parts" / "a.srt").read_text() == "by hand, too"
    assert not list(tmp_path.rglob("backups/*"))


@pytest.mark.parametrize("notemp", [False, True])
def test_temporary_files_whose_job_is_done_are_gone_unless_they_are_wanted(tmp_path, notemp):
    assert snakemake(tmp_path, TEMPORARY, "clip").returncode == 0
    leftovers = {name: tmp_path / name for name in ("cut", "wanted by rule", "wanted")}
    for path in leftovers.values():
        path.touch()
        os.utime(path, (1000, 1000))
    options = ["--notemp"] if notemp else []
    done = snakemake(
        tmp_path, TEMPORARY, *options, "--rerun-triggers", "mtime", "--", "clip", "by_rule", "wanted", "other"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "other").exists()
    assert {name for name, path in leftovers.items() if not path.exists()} == (set() if notemp else {"cut"})


def test_another_backend_than_files_is_left_as_it_is():
    backend = SimpleNamespace(restore_output=len)
    persistence.fsync_records(backend)
    assert vars(backend) == {"restore_output": len}


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


@pytest.mark.parametrize("patched", [True, False])
def test_the_output_of_a_failed_job_that_cannot_be_removed_is_not_believed(tmp_path, patched):
    options = [] if patched else ["--config", "unpatched=1"]
    failed = snakemake(tmp_path, FAILED, "a.txt", *options)
    assert failed.returncode != 0
    assert (tmp_path / "a.txt").read_text() == "half\n"
    (tmp_path / "healthy").touch()
    again = snakemake(tmp_path, FAILED, "a.txt", *options)
    assert again.returncode == 0, again.stderr
    # Snakemake alone believes it; when it does so no longer, the patch can go.
    assert (tmp_path / "a.txt").read_text() == ("whole\n" if patched else "half\n")
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("patched", [True, False])
def test_an_earlier_version_that_is_put_back_is_made_again(tmp_path, patched):
    def run(setting):
        return snakemake(
            tmp_path, FAILED, "b.txt", "--config", f"setting={setting}", *([] if patched else ["unpatched=1"])
        )

    (tmp_path / "healthy").touch()
    assert run(1).returncode == 0
    (tmp_path / "healthy").unlink()
    assert run(2).returncode != 0
    assert (tmp_path / "b.txt").read_text() == "1\n"
    (tmp_path / "healthy").touch()
    assert run(2).returncode == 0
    assert (tmp_path / "b.txt").read_text() == ("2\n" if patched else "1\n")


def test_the_output_of_a_failed_job_that_is_to_stay_is_not_believed_either(tmp_path):
    assert snakemake(tmp_path, FAILED, "a.txt", "--keep-incomplete").returncode != 0
    assert (tmp_path / "a.txt").read_text() == "half\n"
    assert (tmp_path / MARK).exists()

"""Snakemake's own records, in real runs: on disk before they are relied on, and nothing comes back in halves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import ROOT

FIXTURES = Path(__file__).parents[1] / "fixtures"
SNAKEFILE = (FIXTURES / "persistence.smk").read_text()
MAKE = (FIXTURES / "persistence_make.smk").read_text()
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

"""Many scenes a submission through a real Slurm: one worker for each, and what is done stays when one is cancelled."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.media.frame_codes import make_capture
from tests.support.polling import wait_for
from tests.support.project import ROOT, Project, result_digests, this_checkout

SCENES = 12
QUICK = ["--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
QUICK += ["--seconds-between-status-checks", "2", "--latency-wait", "5", "--executor", "slurm", "--jobs", "4"]
QUICK += ["--default-resources", "mem_mb=500", "runtime=20"]


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project")
    (made.folder / "captures").mkdir()
    cuts = tuple(range(50, 50 * SCENES, 50))
    make_capture(made.path("captures/T01.mkv"), frames=50 * SCENES, interlaced="tff", size=(360, 288), cuts=cuts)
    made.sheet({"tape": "T01", "source": "captures/T01.mkv", "language": "en", "field_order": "tff"})
    # Each scene is expected to take 7 s: two groups of six.
    made.configure(cluster={"group_minutes": 0.7})
    return made


def start(project):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "all", *QUICK]
    command += ["--profile", str(ROOT / "profiles" / "cpu"), "--directory", str(project.folder)]
    said = (project.folder / "said").open("w")
    environment = os.environ | {"PYTHONPATH": this_checkout()}
    return subprocess.Popen(command, cwd=project.folder, env=environment, stdout=said, stderr=subprocess.STDOUT)


def clips(project):
    return list(project.path("results/T01").glob("enhanced/*.mkv"))


def test_groups_make_the_same_tape_with_few_submissions_even_if_one_is_cancelled(slurm, project):
    project.make("all")
    local = result_digests(project.folder)
    for name in ("results", ".snakemake", "events", "logs", "benchmarks"):
        project.path(name).rename(project.path(f"{name} of the local run"))
    main = start(project)
    wait_for(lambda: len(clips(project)) >= 2, seconds=300, message=project.path("said").read_text())
    running = slurm.ask("squeue", "--noheader", "--states=RUNNING", "--format=%A %k").splitlines()
    struck = next(line.split()[0] for line in running if "T01-enhance" in line)
    slurm.ask("scancel", struck)
    kept = {path: path.stat().st_mtime_ns for path in clips(project)}
    assert main.wait(timeout=900) == 0, project.path("said").read_text()
    assert result_digests(project.folder) == local
    # All but those of which Snakemake had not yet heard that they were done.
    assert sum(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items()) >= len(kept) - 2
    submitted = project.path("said").read_text().count("has been submitted with SLURM jobid")
    assert submitted <= 16
    assert len(local) > 3 * submitted
    logs = [path.read_text() for path in project.path("logs/transcribe_scene/T01").glob("*.log")]
    workers = [worker for log in logs for worker in re.findall(r"lane cpu[01], worker (\d+)", log)]
    assert len(logs) == len(workers) == SCENES
    groups = len(list(project.path(".snakemake/slurm_logs").glob("group_T01-subtitles-*")))
    assert len(set(workers)) == max(1, groups)

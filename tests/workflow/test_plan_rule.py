"""The rule `plan` and the budget where nothing was made yet: on a machine without any card, in real runs."""

import json
import os
import subprocess
import sys

import pytest

from tapemill.process.results_lease import LEASE
from tests.support.project import Project, this_checkout

RUN = (
    "import sys; from pathlib import Path; from tapemill.process import run_lock as runlock;"
    "runlock.acquire(Path('.snakemake')); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project")
    project.path("a.mkv").write_bytes(bytes(36_000_000))
    project.sheet({"tape": "T", "source": "a.mkv", "language": "en"})
    return project


def test_a_new_tape_on_lanes_of_a_profile_is_planned_and_nothing_is_made(project):
    project.configure(plan={"json": "out/plan.json", "watts_lane": 225}, budget={"hours": 0})
    run = project.run("show_plan", "--resources", "gpu1=0", profile="arc2", cores=3)
    assert run.exit_code == 0, run.output
    assert "on 1 lane and 3 cores" in run.output
    assert "Energy: " in run.output
    found = json.loads(project.path("out/plan.json").read_text())
    rules = {"probe_capture", "hash_capture", "clean_sound", "detect_scenes", "join_subtitles", "mux_tape"}
    assert found["jobs"] == dict.fromkeys({*rules, "write_provenance"}, 1)
    assert set(found["busy_s"]) == {"gpu0", "cores"}
    assert not project.path("results").exists()


@pytest.mark.long
def test_an_archive_is_planned_in_parts_and_its_tapes_in_the_queue_count_for_the_budget(project):
    rows = [{"tape": tape, "source": "a.mkv", "language": "en"} for tape in ("T", "U", "V")]
    project.sheet(*rows)
    project.configure(plan={"json": "out/plan.json"}, queue={"scenes": 1, "tapes": 1})
    assert project.run("show_plan").exit_code == 0
    found = json.loads(project.path("out/plan.json").read_text())
    assert [tape["tape"] for tape in found["tapes"]] == ["T", "U", "V"]
    assert found["jobs"]["mux_tape"] == found["jobs"]["probe_capture"] == 3
    # What one tape takes is less, and what all take is more.
    hours = found["total_s"] / 3600 * 0.75
    project.configure(budget={"hours": hours}, queue={"scenes": 1, "tapes": 1})
    run = project.run("all")
    assert run.exit_code != 0
    assert "exceeds the budget" in run.output
    project.sheet(*rows[:1])
    assert "exceeds the budget" not in project.run("all").output


def test_a_plan_that_snakemake_cannot_make_says_why(project):
    project.sheet({"tape": "T", "source": "a.mkv", "language": "en"}, {"tape": "U", "source": "b", "language": "en"})
    # A wrong row is named, and the other tapes are planned.
    shown = project.run("show_plan")
    assert shown.exit_code == 0
    assert "the source of tape 'U' does not exist" in shown.output
    project.sheet({"tape": "T", "source": "a.mkv", "language": "en"})
    project.configure(subtitles={"model": "tiny"})
    run = project.run("show_plan")
    assert run.exit_code != 0
    assert "snakemake fetch_models" in run.output


def test_beside_a_run_the_plan_is_shown_and_touches_nothing_of_it(project):
    of_the_run = [
        project.path(name)
        for name in ("results/.partial/a.mkv", ".snakemake/backups/b", ".snakemake/attempts/1-1/jobs/cut_scene/T.json")
    ]
    for path in of_the_run:
        path.parent.mkdir(parents=True)
        path.touch()
    command = [sys.executable, "-c", RUN]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    environment = os.environ | {"PYTHONPATH": this_checkout()}
    with subprocess.Popen(command, cwd=project.folder, env=environment, **pipes) as active:
        assert active.stdout.readline() == b"held\n"
        run = project.run("show_plan")
        assert run.exit_code == 0, run.output
        assert "Jobs to do: " in run.output
        # Anything else is a run.
        refused = project.run("show_plan", "all")
        active.stdin.close()
    assert refused.exit_code != 0
    assert "another run is active" in refused.output
    assert all(path.exists() for path in of_the_run)
    assert not project.path("events").exists()
    assert json.loads(project.path(".snakemake/tapemill.lock").read_text())["pid"] == active.pid


def test_a_run_beyond_its_budget_does_not_start(project):
    project.configure(budget={"hours": 0.001})
    run = project.run("all")
    assert run.exit_code != 0
    assert "exceeds the budget" in run.output
    assert not run.jobs
    assert {path.name for path in project.path("results").rglob("*.*")} <= {LEASE}
    # What is refused is a run, not a look.
    assert project.run("all", "-n").exit_code == 0
